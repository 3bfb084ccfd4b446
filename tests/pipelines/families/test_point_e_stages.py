"""The release's kind of stage gives the release's clouds, and its options do what they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from enpointe.core.errors import InputError
from enpointe.diffusion.channels import ChannelScaling
from enpointe.diffusion.sampler import Sampler, make_sampler
from enpointe.diffusion.samplers.ddpm import DDPM
from enpointe.diffusion.samplers.dpmpp import DPMpp
from enpointe.diffusion.samplers.heun import Heun
from enpointe.diffusion.schedule import DiscreteProcess
from enpointe.nn.point_transformer import PointTransformer, PointTransformerConfig
from enpointe.pipelines.families.point_e.stages import CloudStage, eps_stage

Golden = Callable[[str], tuple[dict[str, Tensor], dict[str, Any]]]
Predictor = Callable[[str], Callable[..., Tensor]]
SCHEDULES = {"grid": "cosine", "upsample": "linear"}
SIGMA_MAX, S_CHURN = (120.0, 160.0), (3.0, 0.0)


def cloud_stage(
    network: Callable[..., Tensor],
    schedule: str = "cosine",
    *,
    n_points: int,
    sampler: Sampler | None = None,
    respacing: str = "",
    **options: Any,
) -> CloudStage:
    process = DiscreteProcess(schedule, respacing=respacing)
    stage = eps_stage(network, process, shape=(6, n_points), sampler=sampler or Heun(), **options)
    return CloudStage(stage, ChannelScaling())


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


def cascade(tensors: dict[str, Tensor], stages: Sequence[CloudStage]) -> tuple[list[Tensor], list[Tensor]]:
    """Runs base and upsampler -> (every cloud, each stage's last one)."""
    clouds: list[Tensor] = []
    finals: list[Tensor] = []
    cond = {"grids": {"image": tensors["embeddings"]}}
    for stage, draws in zip(stages, recorded(tensors), strict=True):
        low_res = finals[-1] if finals else None
        steps = list(stage.run(cond, Replay(draws), n_samples=len(tensors["embeddings"]), low_res=low_res))
        assert len(steps) == stage.n_yields
        if stage.stage.sampler == DDPM():
            last = steps.pop()  # which the release does not give: its last estimate, without noise
            assert torch.equal(last.denoised, steps[-1].denoised)
            torch.testing.assert_close(last.x, last.denoised)
        clouds += [step.denoised for step in steps]
        finals.append(clouds[-1])
    return clouds, finals


def assert_run(tensors: dict[str, Tensor], clouds: list[Tensor], finals: list[Tensor]) -> None:
    assert len(clouds) == int(tensors["n_yields"])
    compared = [name for name in tensors if name.startswith("yield.")]
    assert compared
    for name in compared:
        assert_near(clouds[int(name.removeprefix("yield."))], tensors[name])
    assert_near(finals[0], tensors["stage1_final"])
    assert_near(finals[1], tensors["final"])


def assert_near(ours: Tensor, theirs: Tensor, tolerance: float = 1e-3) -> None:
    assert ours.shape == theirs.shape
    assert float((ours - theirs).norm() / theirs.norm()) < tolerance


@pytest.mark.golden
@pytest.mark.parametrize("name", ["sampler_heun_churn", "sampler_heun_plain_up0"])
def test_heun_cascade(golden: Golden, predictor: Predictor, name: str) -> None:
    tensors, metadata = golden(name)
    options = metadata["options"]
    stages = [
        cloud_stage(
            predictor(network), SCHEDULES[network], n_points=draws[0].shape[2],
            sampler=Heun(s_churn=options.get("s_churn", S_CHURN)[i]), steps=options["karras_steps"][i],
            guidance_scale=options["guidance_scale"][i], sigma_max=SIGMA_MAX[i],
        )
        for i, (network, draws) in enumerate(zip(SCHEDULES, recorded(tensors), strict=True))
    ]  # fmt: skip
    assert_run(tensors, *cascade(tensors, stages))


@pytest.mark.golden
def test_ddpm_cascade(golden: Golden, predictor: Predictor) -> None:
    tensors, metadata = golden("sampler_ddpm")
    stages = [
        cloud_stage(
            predictor(network), SCHEDULES[network], n_points=draws[0].shape[2], sampler=DDPM(),
            steps=int(metadata["respacing"]), guidance_scale=scale,
        )
        for network, draws, scale in zip(
            SCHEDULES, recorded(tensors), metadata["options"]["guidance_scale"], strict=True
        )
    ]  # fmt: skip
    assert_run(tensors, *cascade(tensors, stages))


@pytest.mark.golden
@pytest.mark.parametrize(("name", "file"), [("dpm2", "sampler_dpm"), ("ancestral", "sampler_ancestral")])
def test_single_stage(golden: Golden, predictor: Predictor, name: str, file: str) -> None:
    tensors, options = golden(file)
    (draws,) = recorded(tensors)
    stage = cloud_stage(
        predictor("grid"), n_points=draws[0].shape[2], sampler=make_sampler(name),
        steps=options["steps"], sigma_min=options["sigma_min"], sigma_max=options["sigma_max"],
        guidance_scale=options["guidance_scale"],
    )  # fmt: skip
    cond = {"grids": {"image": tensors["embeddings"]}}
    *_, last = stage.run(cond, Replay(draws), n_samples=len(tensors["embeddings"]))
    assert_near(last.x, tensors["final_x"])
    assert_near(last.denoised, tensors["final_pred_xstart"])


def exact(x: Tensor, t: Tensor, **cond: Tensor) -> Tensor:
    """The noise of data that is N(0, 1/4), in the cosine process; conditions shift it."""
    alpha_bar = DiscreteProcess("cosine").alphas_cumprod[t.long()].float()[:, None, None]
    predicted = x * (1 - alpha_bar).sqrt() / (0.25 * alpha_bar + 1 - alpha_bar)
    return predicted - 0.1 * sum(value.mean((1, 2), keepdim=True) for value in cond.values())


def draw(shape: Sequence[int]) -> Tensor:
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("sampler", ["heun", "ddpm"])
def test_the_coarse_points_come_first_and_as_they_are(sampler: str) -> None:
    low_res = torch.rand(2, 6, 5)
    stage = cloud_stage(exact, n_points=7, sampler=make_sampler(sampler), steps=4)
    for step in stage.run({}, draw, n_samples=2, low_res=low_res):
        assert step.denoised.shape == (2, 6, 12)
        assert torch.equal(step.denoised[:, :, :5], low_res)


def test_what_the_unconditional_half_keeps_is_not_guided() -> None:
    low_res = torch.full((1, 6, 4), 0.5)

    def last(scale: float, keep: tuple[str, ...] = ()) -> Tensor:
        stage = cloud_stage(exact, n_points=8, steps=6, guidance_scale=scale, keep=keep)
        *_, step = stage.run({}, draw, n_samples=1, low_res=low_res)
        return step.denoised

    plain = last(1.0)
    assert torch.equal(last(0.0), plain)
    torch.testing.assert_close(last(3.0, keep=("low_res",)), plain)
    assert float((last(3.0) - plain).abs().max()) > 0.01


@pytest.mark.parametrize("sampler", ["heun", "ddpm"])
@pytest.mark.parametrize("kept", [False, True])
def test_without_a_condition_guidance_costs_nothing(sampler: str, kept: bool) -> None:
    """Both halves would be the same: the network is asked for one."""
    low_res = torch.full((2, 6, 4), 0.5) if kept else None
    asked: list[int] = []

    def counting(x: Tensor, t: Tensor, **cond: Tensor) -> Tensor:
        asked.append(len(x))
        predicted = exact(x, t, **cond)
        return torch.cat([predicted, predicted], dim=1) if sampler == "ddpm" else predicted

    def last(scale: float) -> Tensor:
        stage = cloud_stage(
            counting, n_points=8, sampler=make_sampler(sampler), steps=6,
            guidance_scale=scale, keep=("low_res",),
        )  # fmt: skip
        *_, step = stage.run({}, draw, n_samples=2, low_res=low_res)
        return step.denoised

    assert torch.equal(last(3.0), last(1.0))
    assert set(asked) == {2}


def test_guidance_stays_in_its_interval() -> None:
    cond = {"vector": torch.ones(1, 3, 3)}

    def steps(interval: tuple[float, float]) -> list[Tensor]:
        stage = cloud_stage(exact, n_points=8, steps=6, sampler=DPMpp(), interval=interval)
        return [step.denoised for step in stage.run(cond, draw, n_samples=1)]

    plain, part = steps((1e6, 1e7)), steps((0.0, 1.0))
    assert torch.equal(plain[0], part[0])
    assert not torch.allclose(plain[-1], part[-1])


def image_network() -> PointTransformer:
    torch.manual_seed(0)
    network = PointTransformerConfig(width=32, layers=2, heads=2, grids=(("image", 12),), low_res=True).build()
    torch.nn.init.normal_(network.output_proj.weight, std=0.1)
    return network.eval()


@pytest.mark.parametrize("sampler", ["heun", "ddpm"])
@pytest.mark.parametrize(("picture", "scale"), [("seen", 3.0), ("seen", 1.0), ("absent", 3.0), ("absent", 0.0)])
def test_preparing_conditions_changes_rounding_only(picture: str, scale: float, sampler: str) -> None:
    cond = {"grids": {"image": torch.randn(2, 12, 256) * (picture == "seen")}}
    low_res = torch.randn(2, 6, 10) / 4

    network = image_network()

    def clouds(prepare: bool) -> list[Tensor]:
        stage = cloud_stage(
            network, "linear", respacing="6", n_points=24, sampler=make_sampler(sampler), steps=6,
            guidance_scale=scale, prepare=prepare,
        )  # fmt: skip
        return [step.denoised for step in stage.run(cond, draw, n_samples=2, low_res=low_res)]

    for one, other in zip(clouds(False), clouds(True), strict=True):
        torch.testing.assert_close(one[:, :3], other[:, :3], rtol=0, atol=1e-4)


@pytest.mark.parametrize("prepare", [False, True])
@pytest.mark.parametrize("weights", [torch.float32, torch.bfloat16])
def test_bfloat16_is_near_and_does_not_leak(prepare: bool, weights: torch.dtype) -> None:
    options: dict[str, Any] = {"n_points": 24, "sampler": DPMpp(), "steps": 5}
    stage = cloud_stage(image_network(), **options)
    cond, low_res = {"grids": {"image": torch.randn(1, 12, 256)}}, torch.randn(1, 6, 10) / 4
    *_, single = stage.run(cond, draw, n_samples=1, low_res=low_res)
    stage = cloud_stage(image_network().to(weights), prepare=prepare, dtype=torch.bfloat16, **options)
    for step in stage.run(cond, draw, n_samples=1, low_res=low_res):
        assert not torch.is_autocast_enabled("cpu")
        assert step.x.dtype == torch.float32
    gap = (step.denoised[:, :3] - single.denoised[:, :3]).abs().mean()
    assert 0 < float(gap) < 0.02


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n_points": 3, "prepare": True}, "PointTransformer, found function"),
        ({"n_points": 0}, r"shape of a sample: .* found \(6, 0\)"),
    ],
)
def test_impossible_options(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        cloud_stage(exact, **options)


@pytest.mark.golden
def test_a_shared_generator_gives_the_release_s_draws(golden: Golden) -> None:
    """Shapes and number of all draws, in their order, through both stages."""
    tensors, metadata = golden("sampler_heun_plain_up0")
    asked: list[tuple[int, ...]] = []

    def noise(shape: Sequence[int]) -> Tensor:
        asked.append(tuple(shape))
        return torch.randn(tuple(shape))

    options = metadata["options"]
    for i, draws in enumerate(recorded(tensors)):
        stage = cloud_stage(
            exact, n_points=draws[0].shape[2], sampler=Heun(draw_unused=True),
            steps=options["karras_steps"][i], guidance_scale=options["guidance_scale"][i],
        )  # fmt: skip
        list(stage.run({}, noise, n_samples=len(tensors["embeddings"])))
    assert asked == [tuple(draw.shape) for stage_draws in recorded(tensors) for draw in stage_draws]
