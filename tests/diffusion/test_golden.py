"""Equality with runs of the release's own code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from enpointe.diffusion.channels import ChannelScaling
from enpointe.diffusion.ddpm import ddpm
from enpointe.diffusion.denoiser import EpsDenoiser
from enpointe.diffusion.guidance import XYZ, Guided, unconditional
from enpointe.diffusion.loss import eps_loss
from enpointe.diffusion.schedule import DiscreteProcess, karras_sigmas
from enpointe.diffusion.solvers import SOLVERS
from enpointe.diffusion.step import Step
from enpointe.models.released import from_released, point_transformer_config

pytestmark = pytest.mark.golden

Golden = Callable[[str], tuple[dict[str, Tensor], dict[str, Any]]]
SCALING = ChannelScaling()
SCHEDULES = {"grid": "cosine", "upsample": "linear"}
SIGMA_MIN, SIGMA_MAX, S_CHURN = 1e-3, (120.0, 160.0), (3.0, 0.0)


@dataclass
class Replay:
    """Gives recorded draws in their order."""

    draws: Sequence[Tensor]
    used: int = 0

    def __call__(self, shape: Sequence[int]) -> Tensor:
        self.used += 1
        draw = self.draws[self.used - 1]
        assert draw.shape[1:] == tuple(shape)[1:]
        return draw[: shape[0]]  # the release's guided DDPM draws for the unconditional half too


def recorded(tensors: dict[str, Tensor]) -> list[list[Tensor]]:
    """The draws of each stage: stages differ in their number of points."""
    stages: list[list[Tensor]] = []
    for name in sorted(name for name in tensors if name.startswith("noise.")):
        draw = tensors[name]
        if not stages or stages[-1][0].shape[2] != draw.shape[2]:
            stages.append([])
        stages[-1].append(draw)
    return stages


def predictor(golden: Golden, name: str) -> Callable[..., Tensor]:
    """The goldens' noise predictor: exact for N(0, 1/4), plus a tenth of the recorded network."""
    tensors, metadata = golden(f"model_{name}")
    channels = tensors["cond.embeddings"].shape[1]
    config = point_transformer_config(metadata["cls"], metadata["config"], grid=channels)
    net = config.build().eval()
    state = {key.removeprefix("w."): value for key, value in tensors.items() if key.startswith("w.")}
    net.load_state_dict(from_released(state, config))
    process = DiscreteProcess(SCHEDULES[name])

    def predict(x: Tensor, t: Tensor, **cond: Any) -> Tensor:
        output = net(x, t, **cond)
        alpha_bar = process.alphas_cumprod[t.long()].float()[:, None, None]
        exact = x * (1 - alpha_bar).sqrt() / (0.25 * alpha_bar + 1 - alpha_bar)
        return torch.cat([exact + 0.1 * output[:, :6], output[:, 6:]], dim=1)

    return predict


def karras_stage(
    golden: Golden, name: str, cond: dict[str, Any], noise: Replay, *, steps: int, scale: float, **churn: float
) -> Iterator[Step]:
    """One stage of the release with its Karras solver."""
    stage = list(SCHEDULES).index(name)
    denoiser = EpsDenoiser(predictor(golden, name), DiscreteProcess(SCHEDULES[name]))
    guided = Guided(denoiser, cond, unconditional(cond), scale)
    start = noise(noise.draws[0].shape) * SIGMA_MAX[stage]
    sigmas = karras_sigmas(steps, SIGMA_MIN, SIGMA_MAX[stage])
    return SOLVERS["heun"](guided, start, sigmas, noise=noise, **churn)


def ddpm_stage(
    golden: Golden, name: str, cond: dict[str, Any], noise: Replay, *, respacing: str, scale: float
) -> Iterator[Step]:
    """One stage of the release with its discrete process; its last step repeats the one before."""
    network = Guided(predictor(golden, name), cond, unconditional(cond), scale, channels=XYZ)
    n_samples = len(cond["grids"]["image"])
    start = noise((n_samples, *noise.draws[0].shape[1:]))
    steps = list(ddpm(network, DiscreteProcess(SCHEDULES[name], respacing=respacing), start, noise=noise))
    torch.testing.assert_close(steps[-1].x, steps[-2].denoised)
    return iter(steps[:-1])


def cascade(
    tensors: dict[str, Tensor], stages: Sequence[Callable[[str, dict[str, Any], Replay], Iterator[Step]]]
) -> tuple[list[Tensor], list[Tensor]]:
    """Runs base and upsampler -> (every yielded cloud in world units, each stage's last one)."""
    yields: list[Tensor] = []
    finals: list[Tensor] = []
    cond: dict[str, Any] = {"grids": {"image": tensors["embeddings"]}}
    for name, stage, draws in zip(SCHEDULES, stages, recorded(tensors), strict=True):
        if finals:
            cond["low_res"] = finals[-1]
        for step in stage(name, cond, Replay(draws)):
            points = SCALING.to_world(step.denoised)
            yields.append(torch.cat([cond["low_res"], points], dim=2) if finals else points)
        finals.append(yields[-1])
    return yields, finals


def assert_run(tensors: dict[str, Tensor], yields: list[Tensor], finals: list[Tensor]) -> None:
    assert len(yields) == int(tensors["n_yields"])
    compared = [name for name in tensors if name.startswith("yield.")]
    assert compared
    for name in compared:
        assert_near(yields[int(name.removeprefix("yield."))], tensors[name])
    assert_near(finals[0], tensors["stage1_final"])
    assert_near(finals[1], tensors["final"])


def assert_near(ours: Tensor, theirs: Tensor, tolerance: float = 1e-3) -> None:
    assert ours.shape == theirs.shape
    assert float((ours - theirs).norm() / theirs.norm()) < tolerance


@pytest.mark.parametrize("name", ["sampler_heun_churn", "sampler_heun_plain_up0"])
@torch.no_grad()
def test_heun_cascade(golden: Golden, name: str) -> None:
    tensors, metadata = golden(name)
    options = metadata["options"]
    stages = [
        partial(karras_stage, golden, steps=steps, scale=scale, s_churn=churn)
        for steps, scale, churn in zip(
            options["karras_steps"], options["guidance_scale"], options.get("s_churn", S_CHURN), strict=True
        )
    ]
    assert_run(tensors, *cascade(tensors, stages))


@torch.no_grad()
def test_ddpm_cascade(golden: Golden) -> None:
    tensors, metadata = golden("sampler_ddpm")
    stages = [
        partial(ddpm_stage, golden, respacing=str(metadata["respacing"]), scale=scale)
        for scale in metadata["options"]["guidance_scale"]
    ]
    assert_run(tensors, *cascade(tensors, stages))


@pytest.mark.parametrize(("name", "file"), [("dpm2", "sampler_dpm"), ("ancestral", "sampler_ancestral")])
@torch.no_grad()
def test_single_stage(golden: Golden, name: str, file: str) -> None:
    tensors, options = golden(file)
    cond = {"grids": {"image": tensors["embeddings"]}}
    (draws,) = recorded(tensors)
    noise = Replay(draws)
    denoiser = EpsDenoiser(predictor(golden, "grid"), DiscreteProcess("cosine"))
    guided = Guided(denoiser, cond, unconditional(cond), options["guidance_scale"])
    sigmas = karras_sigmas(options["steps"], options["sigma_min"], options["sigma_max"])
    start = noise(noise.draws[0].shape) * options["sigma_max"]
    *_, last = SOLVERS[name](guided, start, sigmas, noise=noise)
    assert_near(SCALING.to_world(last.x), tensors["final_x"])
    assert_near(SCALING.to_world(last.denoised), tensors["final_pred_xstart"])


def test_training_losses(golden: Golden) -> None:
    tensors, _ = golden("training_losses")
    losses = eps_loss(
        predictor(golden, "grid"),
        DiscreteProcess("cosine"),
        SCALING.to_model(tensors["x_start"]),
        tensors["t"],
        tensors["noise"],
        grids={"image": tensors["embeddings"]},
    )
    for name, ours in losses._asdict().items():
        torch.testing.assert_close(ours, tensors[f"out.{name}"], rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "schedule"), [("base40M", "cosine"), ("upsample", "linear")])
def test_schedule_tables(golden: Golden, name: str, schedule: str) -> None:
    tensors, _ = golden("schedules")
    process = DiscreteProcess(schedule, steps=len(tensors[f"{name}.betas"]))
    for table in ("betas", "alphas_cumprod", "posterior_log_variance_clipped"):
        torch.testing.assert_close(getattr(process, table), tensors[f"{name}.{table}"], rtol=1e-12, atol=1e-15)
    ours = process.sigma_to_index(tensors["sigma"]).floor().long()
    assert torch.equal(ours, tensors[f"{name}.sigma_to_t"])


def test_karras_grids(golden: Golden) -> None:
    tensors, _ = golden("schedules")
    names = [name for name in tensors if name.startswith("karras.")]
    assert names
    for name in names:
        _, steps, low, high = name.split(".")
        ours = karras_sigmas(int(steps), float(low), float(high))
        torch.testing.assert_close(ours.to(tensors[name].dtype), tensors[name], rtol=4e-6, atol=0)
