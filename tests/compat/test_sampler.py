"""Sampling with the release's names gives the release's numbers, draw by draw from the global generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from enpointe.core.errors import InputError
from point_e.diffusion.configs import DIFFUSION_CONFIGS, diffusion_from_config
from point_e.diffusion.fast import process_of
from point_e.diffusion.k_diffusion import (
    GaussianToKarrasDenoiser,
    KarrasDenoiser,
    append_zero,
    get_ancestral_step,
    get_sigmas_karras,
    karras_sample,
    karras_sample_progressive,
    sample_dpm,
    sample_euler_ancestral,
    sample_heun,
)
from point_e.diffusion.sampler import PointCloudSampler
from point_e.models.configs import MODEL_CONFIGS, model_from_config
from point_e.models.pretrained_clip import ImageCLIP

Golden = Callable[[str], tuple[dict[str, Tensor], dict[str, Any]]]
CPU = torch.device("cpu")
PROCESSES = {"grid": "base40M", "upsample": "upsample"}
SMALL = {"width": 16, "layers": 1, "heads": 2}


class Predictor:
    """The goldens' noise predictor around one of the release's networks, told whole steps as there."""

    def __init__(self, golden: Golden, name: str) -> None:
        tensors, about = golden(f"model_{name}")
        self.model = model_from_config({"name": about["cls"], **about["config"]}, CPU).eval()
        self.model.load_state_dict({key.removeprefix("w."): v for key, v in tensors.items() if key.startswith("w.")})
        self.alphas_cumprod = diffusion_from_config(DIFFUSION_CONFIGS[PROCESSES[name]]).alphas_cumprod

    def cached_model_kwargs(self, batch_size: int, model_kwargs: dict[str, Any]) -> dict[str, Any]:
        return dict(model_kwargs)

    def __call__(self, x: Tensor, t: Tensor, **cond: Any) -> Tensor:
        output = self.model(x, t, **cond)
        alpha_bar = torch.from_numpy(self.alphas_cumprod)[t].float()[:, None, None]
        exact = x * (1 - alpha_bar).sqrt() / (0.25 * alpha_bar + 1 - alpha_bar)
        return torch.cat([exact + 0.1 * output[:, :6], output[:, 6:]], dim=1)


@pytest.fixture
def recorded_sizes(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    about = golden("model_grid")[1]
    for key in ("feature_dim", "grid_size", "grid_feature_dim"):
        monkeypatch.setattr(ImageCLIP, key, about[key])


@pytest.fixture
def replay(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, Tensor]], None]]:
    """Makes PyTorch's draws the recorded ones; every one must be asked for, in its shape and order."""
    draws: list[Tensor] = []

    def use(tensors: dict[str, Tensor]) -> None:
        draws.extend(tensors[name] for name in sorted(tensors) if name.startswith("noise."))

    def draw(*shape: int, device: Any = None) -> Tensor:
        size = tuple(shape[0]) if isinstance(shape[0], Sequence) else shape
        assert size == tuple(draws[0].shape)
        return draws.pop(0).clone()

    monkeypatch.setattr(torch, "randn", draw)
    monkeypatch.setattr(torch, "randn_like", lambda x: draw(*x.shape))
    yield use
    assert not draws


def assert_near(ours: Tensor, theirs: Tensor, tolerance: float = 1e-3) -> None:
    assert ours.shape == theirs.shape
    assert float((ours - theirs).norm() / theirs.norm()) < tolerance


@pytest.mark.golden
@pytest.mark.usefixtures("recorded_sizes")
@pytest.mark.parametrize("subclassed", [False, True])
@pytest.mark.parametrize("name", ["sampler_heun_churn", "sampler_heun_plain_up0", "sampler_ddpm"])
@pytest.mark.slow
def test_recorded_cascades(
    golden: Golden, replay: Callable[[dict[str, Tensor]], None], name: str, subclassed: bool
) -> None:
    """By way of enpointe's stages, and by the release's own functions: those are used for a subclass of a diffusion."""
    tensors, about = golden(name)
    models = [Predictor(golden, part) for part in PROCESSES]
    respacing = {"respacing": str(about["respacing"])} if about.get("respacing") else {}
    diffusions = [diffusion_from_config({**DIFFUSION_CONFIGS[key], **respacing}) for key in PROCESSES.values()]
    for diffusion in diffusions if subclassed else ():
        diffusion.__class__ = type("Subclass", (type(diffusion),), {})
    assert all((process_of(diffusion) is None) == subclassed for diffusion in diffusions)
    replay(tensors)
    sampler = PointCloudSampler(
        device=CPU,
        models=models,
        diffusions=diffusions,
        num_points=[model.model.n_ctx for model in models],
        aux_channels=["R", "G", "B"],
        **about["options"],
    )
    n = len(tensors["embeddings"])
    clouds = list(sampler.sample_batch_progressive(n, model_kwargs={"embeddings": tensors["embeddings"]}))
    assert len(clouds) == int(tensors["n_yields"])
    for key in (key for key in tensors if key.startswith("yield.")):
        assert_near(clouds[int(key.removeprefix("yield."))], tensors[key])
    assert_near(clouds[-1], tensors["final"])
    first = sampler.output_to_point_clouds(tensors["final"])[0]
    np.testing.assert_allclose(first.coords, tensors["pc0.coords"].numpy(), rtol=1e-6)
    for channel in "RGB":
        np.testing.assert_allclose(first.channels[channel], tensors[f"pc0.{channel}"].numpy(), rtol=1e-6)


@pytest.mark.golden
@pytest.mark.usefixtures("recorded_sizes")
@pytest.mark.parametrize("sampler", ["dpm", "ancestral"])
def test_recorded_single_stages(golden: Golden, replay: Callable[[dict[str, Tensor]], None], sampler: str) -> None:
    tensors, options = golden(f"sampler_{sampler}")
    embeddings = tensors["embeddings"]
    model = Predictor(golden, "grid")
    replay(tensors)
    *_, last = karras_sample_progressive(
        diffusion_from_config(DIFFUSION_CONFIGS["base40M"]),
        model,
        tuple(tensors["final_x"].shape),
        model_kwargs={"embeddings": torch.cat([embeddings, torch.zeros_like(embeddings)])},
        device=CPU,
        sampler=sampler,
        **options,
    )
    assert_near(last["x"], tensors["final_x"])
    assert_near(last["pred_xstart"], tensors["final_pred_xstart"])


@pytest.mark.golden
def test_recorded_grids_and_steps(golden: Golden) -> None:
    tensors, _ = golden("schedules")
    for key in (key for key in tensors if key.startswith("karras.")):
        _, steps, low, high = key.split(".")
        found = get_sigmas_karras(int(steps), float(low), float(high))
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, tensors[key], rtol=4e-6, atol=0)
    for name in ("base40M", "upsample"):
        denoiser = GaussianToKarrasDenoiser(None, diffusion_from_config(DIFFUSION_CONFIGS[name]))  # type: ignore[arg-type]
        assert [denoiser.sigma_to_t(sigma) for sigma in tensors["sigma"].tolist()] == tensors[
            f"{name}.sigma_to_t"
        ].tolist()


def small_models() -> list[Any]:
    torch.manual_seed(0)
    models = [
        model_from_config({**MODEL_CONFIGS["base40M"], **SMALL, "n_ctx": 12}, CPU).eval(),
        model_from_config({**MODEL_CONFIGS["upsample"], **SMALL, "n_ctx": 20}, CPU).eval(),
    ]
    for model in models:
        torch.nn.init.normal_(model.output_proj.weight, std=0.3)
    return models


def small_sampler(models: list[Any], **options: Any) -> PointCloudSampler:
    settings: dict[str, Any] = {"guidance_scale": [3.0, 3.0], "karras_steps": [4, 3], **options}
    return PointCloudSampler(
        device=CPU,
        models=models,
        diffusions=[diffusion_from_config(DIFFUSION_CONFIGS[name]) for name in ("base40M", "upsample")],
        num_points=[12, 20],
        aux_channels=["R", "G", "B"],
        **settings,
    )


GRID = torch.randn(1, 1024, 256, generator=torch.Generator().manual_seed(1))


def test_enpointe_s_network_and_a_plain_call_give_the_same() -> None:
    """What a stage is given directly, conditions prepared, comes to the module's own call."""
    models = small_models()

    def run(models: list[Any]) -> list[Tensor]:
        torch.manual_seed(5)
        sampler = small_sampler(models, model_kwargs_key_filter=["*", ""])
        return list(sampler.sample_batch_progressive(1, model_kwargs={"embeddings": GRID}))

    direct = run(models)
    calls = []
    for model in models:
        model.register_forward_pre_hook(lambda module, args: calls.append(module))
    hooked = run(models)
    assert len(calls) == (2 * 4 - 1) + (2 * 3 - 1)
    assert len(direct) == len(hooked) == 5 + 4
    for one, other in zip(direct, hooked, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
    assert direct[-1].shape == (1, 6, 32)
    assert torch.equal(direct[-1][:, :, :12], direct[4])


def test_seeds_make_samples_independent_of_their_batch() -> None:
    sampler = small_sampler(small_models())
    both = sampler.sample_batch(2, {"embeddings": GRID.expand(2, -1, -1)}, seeds=[7, 8])
    one = sampler.sample_batch(1, {"embeddings": GRID}, seeds=[8])
    torch.testing.assert_close(both[1:], one, rtol=1e-3, atol=1e-2)
    assert not torch.allclose(both[:1], one, atol=1)


def test_half_precision_around_a_call() -> None:
    sampler = small_sampler(small_models())
    exact = sampler.sample_batch(1, {"embeddings": GRID}, seeds=[7])
    with torch.autocast("cpu", torch.bfloat16):
        half = sampler.sample_batch(1, {"embeddings": GRID}, seeds=[7])
    assert half.dtype == torch.float32
    assert not torch.equal(half, exact)
    # Random networks saturate: a few values end at the other end of their range.
    assert float(torch.isclose(half, exact, rtol=0.05, atol=0.02).float().mean()) > 0.9


def test_guidance_of_single_values_and_lengths() -> None:
    models = small_models()
    sampler = small_sampler(models, guidance_scale=[3.0], karras_steps=[5], s_churn=[0], sigma_max=[100])
    assert (sampler.guidance_scale, sampler.karras_steps, sampler.sigma_max) == ([3.0, 1.0], [5, 5], [100, 100])
    assert sampler.model_kwargs_key_filter == ["*", "*"]
    assert small_sampler(models, model_kwargs_key_filter=[]).model_kwargs_key_filter == ["*", "*"]
    with pytest.raises(InputError, match="karras_steps: expected 2 values, one for each model, found 3"):
        small_sampler(models, karras_steps=[1, 2, 3])


def test_combine_and_with_options() -> None:
    base, up = small_models()
    options: dict[str, Any] = {
        "device": CPU,
        "aux_channels": ["R", "G", "B"],
        "karras_steps": [3],
        "use_karras": [True],
    }
    options |= {"sigma_min": [1e-3], "s_churn": [3], "sigma_max": [120], "guidance_scale": [2.0]}
    alone = [
        PointCloudSampler(
            models=[model],
            diffusions=[diffusion_from_config(DIFFUSION_CONFIGS[name])],
            num_points=[model.n_ctx],
            **{**options, "sigma_max": [sigma]},
        )
        for model, name, sigma in ((base, "base40M", 120), (up, "upsample", 160))
    ]
    both = PointCloudSampler.combine(*alone)
    assert (both.num_stages, both.num_points, both.sigma_max) == (2, [12, 20], [120, 160])
    changed = both.with_options(guidance_scale=[1.0, 1.0], clip_denoised=False)
    assert (changed.guidance_scale, changed.clip_denoised, changed.s_churn) == ([1.0, 1.0], False, [3, 0])
    assert changed.karras_steps == [64, 64]  # the default's, not those of the sampler that it came from
    with pytest.raises(InputError, match="clip_denoised of combined samplers"):
        PointCloudSampler.combine(both, changed)


def test_colours_of_the_output() -> None:
    sampler = small_sampler(small_models())
    output = torch.tensor([[[0.1], [0.2], [0.3], [-4.0], [127.6], [300.0]]])
    position, aux = sampler.split_model_output(output)
    assert position[0, :, 0].tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert [float(aux[name]) for name in "RGB"] == [0, 128, 255]
    _, rescaled = sampler.split_model_output(output, rescale_colors=True)
    assert float(rescaled["G"]) == pytest.approx(128 / 255)
    with pytest.raises(InputError, match="channels: expected 3 and 3 others, found 5"):
        sampler.split_model_output(output[:, :5])


@pytest.mark.parametrize("sample", [sample_heun, sample_dpm, sample_euler_ancestral])
def test_samplers_on_their_own(sample: Callable[..., Iterator[dict[str, Any]]]) -> None:
    sigmas = get_sigmas_karras(6, 0.01, 10.0)
    torch.manual_seed(0)
    steps = list(sample(lambda x, sigma: x / (1 + sigma[:, None, None] ** 2), torch.randn(3, 6, 4) * 10, sigmas))
    assert [step.get("i") for step in steps] == [*range(6), None]
    assert [step["sigma"] for step in steps[:-1]] == pytest.approx(sigmas[:-1].tolist())
    assert float(steps[-1]["x"].std()) == pytest.approx(1, rel=0.5)  # the data's spread


def test_a_network_that_predicts_the_sample_instead_of_the_noise() -> None:
    """Of one Gaussian both predictions are known, and give the same run."""
    runs = []
    for mean_type in ("epsilon", "x_start"):
        diffusion = diffusion_from_config({**DIFFUSION_CONFIGS["base40M"], "mean_type": mean_type, "respacing": "40"})
        alphas = torch.from_numpy(diffusion_from_config(DIFFUSION_CONFIGS["base40M"]).alphas_cumprod)

        def predict(x: Tensor, t: Tensor, kind: str = mean_type, alphas: Tensor = alphas) -> Tensor:
            alpha_bar = alphas[t].float()[:, None, None]
            variance = 0.25 * alpha_bar + 1 - alpha_bar
            eps, x0 = x * (1 - alpha_bar).sqrt() / variance, 0.25 * alpha_bar.sqrt() * x / variance
            return torch.cat([eps if kind == "epsilon" else x0, torch.zeros_like(x)], dim=1)

        torch.manual_seed(3)
        karras = karras_sample(diffusion, predict, (2, 6, 8), 8, device=CPU)
        torch.manual_seed(3)
        runs.append((karras, diffusion.p_sample_loop(predict, (2, 6, 8), device="cpu")))
    for one, other in zip(*runs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-2)


def test_unknown_samplers_and_processes() -> None:
    diffusion = diffusion_from_config(DIFFUSION_CONFIGS["base40M"])
    with pytest.raises(InputError, match="sampler: expected one of heun, dpm, ancestral, found 'plms'"):
        karras_sample(diffusion, lambda x, t: x, (1, 6, 2), 2, sampler="plms")
    with pytest.raises(InputError, match="expected a GaussianDiffusion, found str"):
        karras_sample("cosine", lambda x, t: x, (1, 6, 2), 2)


def test_karras_scalings_keep_unit_variance() -> None:
    """Data N(0, 1/4): in- and target have variance 1, and the exact network leaves no loss (Karras, section 5)."""
    torch.manual_seed(0)
    karras, sigmas = KarrasDenoiser(0.5), torch.tensor([0.01, 0.5, 20.0])
    x0, noise = 0.5 * torch.randn(3, 2, 40_000), torch.randn(3, 2, 40_000)
    skip, out, inside = karras.get_scalings(sigmas)
    x = x0 + sigmas[:, None, None] * noise
    assert (inside * x.std(dim=(1, 2))).tolist() == pytest.approx([1] * 3, rel=0.02)
    target = (x0 - skip[:, None, None] * x) / out[:, None, None]
    assert target.std(dim=(1, 2)).tolist() == pytest.approx([1] * 3, rel=0.02)
    told = []

    def exact(scaled: Tensor, t: Tensor) -> Tensor:
        told.append(t)
        return target

    losses = karras.training_losses(exact, x0, sigmas, noise=noise)
    torch.testing.assert_close(told[0], 250 * sigmas.log())
    assert losses.keys() == {"loss", "mse", "xs_mse"}
    assert [float(loss.max()) for loss in losses.values()] == pytest.approx([0] * 3, abs=1e-6)
    nothing = karras.training_losses(lambda scaled, t: 0 * scaled, x0, sigmas, noise=noise)
    assert nothing["loss"].tolist() == pytest.approx([1] * 3, rel=0.02)
    assert karras.get_snr(sigmas).tolist() == pytest.approx([1e4, 4, 1 / 400])
    assert karras.get_sigmas(sigmas) is sigmas


@pytest.mark.parametrize("sampler", ["heun", "dpm", "ancestral"])
def test_sampling_with_karras_scalings(sampler: str) -> None:
    """The exact network for N(0.2, 1/4) says nothing of the noise, and the samples have the data's moments."""
    karras = KarrasDenoiser(0.5)

    def exact(scaled: Tensor, t: Tensor) -> Tensor:
        sigma = (t / 250).exp()
        return (0.2 * sigma**2 / (sigma**2 + 0.25) / karras.get_scalings(sigma)[1])[:, None, None].expand_as(scaled)

    torch.manual_seed(0)
    found = karras_sample(karras, exact, (4, 2, 5000), 32, clip_denoised=False, model_kwargs={}, sampler=sampler)
    assert float(found.mean()) == pytest.approx(0.2, abs=0.02)
    assert float(found.std()) == pytest.approx(0.5, rel=0.2 if sampler == "ancestral" else 0.05)  # of first order
    clipped = karras_sample(karras, lambda x, t: 100 + 0 * x, (1, 2, 5), 4)
    assert float(clipped.max()) == 1


def test_ancestral_levels_and_zero() -> None:
    down, up = get_ancestral_step(torch.tensor(2.0), torch.tensor(1.5))
    assert float(down**2 + up**2) == pytest.approx(1.5**2)
    assert float(down) == pytest.approx(1.5**2 / 2)  # the variance of q(x_next | x, x0)
    assert append_zero(torch.ones(2)).tolist() == [1, 1, 0]
