"""What a script overrides, replaces or hooks is used by the sampler, as in the release, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

import point_e.diffusion.gaussian_diffusion as gaussian_diffusion
import point_e.diffusion.k_diffusion as k_diffusion
import point_e.diffusion.sampler as sampler_module
import point_e.models.transformer as transformer
from enpointe.core.errors import InputError
from point_e.diffusion.configs import DIFFUSION_CONFIGS, diffusion_from_config
from point_e.diffusion.fast import process_of
from point_e.diffusion.gaussian_diffusion import GaussianDiffusion
from point_e.diffusion.k_diffusion import GaussianToKarrasDenoiser, karras_sample
from point_e.diffusion.sampler import PointCloudSampler
from point_e.models.configs import MODEL_CONFIGS, model_from_config
from point_e.models.fast import as_enpointe
from rounding import assert_same_sums

CPU = torch.device("cpu")
N_POINTS = 16
GRID = torch.randn(2, 1024, 256, generator=torch.Generator().manual_seed(1))


def small_model(**options: Any) -> Any:
    torch.manual_seed(0)
    config = {**MODEL_CONFIGS["base40M"], "width": 16, "layers": 2, "heads": 2, "n_ctx": N_POINTS, **options}
    model = model_from_config(config, CPU)
    nn.init.normal_(model.output_proj.weight, std=0.3)
    return model.eval()


def small_diffusion(**options: Any) -> GaussianDiffusion:
    return diffusion_from_config({**DIFFUSION_CONFIGS["base40M"], **options})


def sampler_of(model: Any, diffusion: GaussianDiffusion, *, karras: bool = True) -> PointCloudSampler:
    return PointCloudSampler(
        device=CPU, models=[model], diffusions=[diffusion], num_points=[N_POINTS], aux_channels=["R", "G", "B"],
        guidance_scale=[3.0], use_karras=[karras], karras_steps=[3], sigma_min=[1e-3], sigma_max=[120], s_churn=[3],
    )  # fmt: skip


def sampled(model: Any = None, diffusion: GaussianDiffusion | None = None, *, karras: bool = True) -> Tensor:
    model = small_model() if model is None else model
    diffusion = diffusion or small_diffusion(**({} if karras else {"respacing": "4"}))
    torch.manual_seed(7)
    return sampler_of(model, diffusion, karras=karras).sample_batch(2, {"embeddings": GRID})


def distance(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm())


Counted = tuple[Any, str]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], list[str]]:
    """Replaces a function by one that does the same, and says so in the list that it gives."""

    def replace(owner: Any, name: str) -> list[str]:
        original, calls = getattr(owner, name), []

        def replacement(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, replacement)
        return calls

    return replace


EVERYWHERE: list[Counted] = [
    (gaussian_diffusion, "_extract_into_tensor"),
    (GaussianDiffusion, "p_mean_variance"),
    (GaussianDiffusion, "q_posterior_mean_variance"),
    (GaussianDiffusion, "_predict_xstart_from_eps"),
    (GaussianDiffusion, "unscale_channels"),
    (GaussianDiffusion, "unscale_out_dict"),
    (PointCloudSampler, "sample_batch_progressive"),
    (transformer, "attention"),
    (transformer, "checkpoint"),
    (transformer, "timestep_embedding"),
    (transformer.MLP, "forward"),
    (transformer.MultiheadAttention, "forward"),
    (transformer.QKVMultiheadAttention, "forward"),
    (transformer.ResidualAttentionBlock, "forward"),
    (transformer.Transformer, "forward"),
    (transformer.PointDiffusionTransformer, "_forward_with_cond"),
    (transformer.CLIPImageGridPointDiffusionTransformer, "forward"),
    (transformer.CLIPImageGridPointDiffusionTransformer, "cached_model_kwargs"),
    (nn.GELU, "forward"),
    (nn.Linear, "forward"),
    (nn.LayerNorm, "forward"),
]
KARRAS: list[Counted] = [
    (sampler_module, "karras_sample_progressive"),
    (k_diffusion, "sample_heun"),
    (k_diffusion, "get_sigmas_karras"),
    (k_diffusion, "append_zero"),
    (k_diffusion, "append_dims"),
    (k_diffusion, "to_d"),
    (k_diffusion, "GaussianToKarrasDenoiser"),
    (GaussianToKarrasDenoiser, "denoise"),
    (GaussianToKarrasDenoiser, "sigma_to_t"),
]
DDPM: list[Counted] = [
    (GaussianDiffusion, "p_sample"),
    (GaussianDiffusion, "p_sample_loop_progressive"),
    (PointCloudSampler, "_uncond_guide_model"),
]


@pytest.mark.parametrize(
    ("karras", "owner", "name"),
    [*((True, *one) for one in (*EVERYWHERE, *KARRAS)), *((False, *one) for one in (*EVERYWHERE, *DDPM))],
    ids=lambda value: getattr(value, "__name__", str(value)).rpartition(".")[2],
)
@pytest.mark.slow
def test_a_replaced_function_is_called(
    counted: Callable[[Any, str], list[str]], karras: bool, owner: Any, name: str
) -> None:
    expected = sampled(karras=karras)
    calls = counted(owner, name)
    assert distance(sampled(karras=karras), expected) < 1e-3
    assert calls


@pytest.mark.parametrize("sampler", ["dpm", "ancestral"])
@pytest.mark.parametrize("name", ["to_d", "append_dims", "get_ancestral_step", "sample"])
def test_the_other_samplers_replaced_functions_are_called(
    counted: Callable[[Any, str], list[str]], sampler: str, name: str
) -> None:
    if name == "sample":
        name = {"dpm": "sample_dpm", "ancestral": "sample_euler_ancestral"}[sampler]
    calls = counted(k_diffusion, name)
    karras_sample(small_diffusion(), lambda x, t: torch.cat([x, x], 1), (1, 6, 4), 3, sampler=sampler)
    assert bool(calls) == (name != "get_ancestral_step" or sampler == "ancestral")


def test_an_overridden_method_is_called() -> None:
    calls: list[str] = []

    class Diffusion(GaussianDiffusion):
        def p_mean_variance(self, *args: Any, **kwargs: Any) -> Any:
            calls.append("p_mean_variance")
            return super().p_mean_variance(*args, **kwargs)

        def q_sample(self, *args: Any, **kwargs: Any) -> Tensor:
            calls.append("q_sample")
            return super().q_sample(*args, **kwargs)

    class Network(transformer.CLIPImageGridPointDiffusionTransformer):
        def forward(self, *args: Any, **kwargs: Any) -> Tensor:
            calls.append("forward")
            return super().forward(*args, **kwargs)

    plain, expected = small_diffusion(), sampled()
    diffusion, model = small_diffusion(), small_model()
    diffusion.__class__, model.__class__ = Diffusion, Network
    assert distance(sampled(small_model(), diffusion), expected) < 1e-3
    assert set(calls) == {"p_mean_variance"}
    calls.clear()
    assert distance(sampled(model), expected) < 1e-3
    assert set(calls) == {"forward"}
    calls.clear()
    x, t = torch.randn(2, 6, N_POINTS), torch.tensor([3, 800])
    noise = torch.randn(2, 6, N_POINTS)
    losses = diffusion.training_losses(model, x, t, {"embeddings": GRID}, noise=noise)
    assert set(calls) == {"forward", "p_mean_variance", "q_sample"}
    same = plain.training_losses(small_model(), x, t, {"embeddings": GRID}, noise=noise)
    for name, loss in same.items():
        torch.testing.assert_close(losses[name], loss, rtol=1e-4, atol=1e-4)


def test_further_losses_of_a_network_are_added() -> None:
    extra = {"losses": {"size": (torch.tensor([1.0, 2.0]), 0.5)}}
    x, t = torch.randn(2, 6, 4), torch.tensor([3, 800])
    for loss_type in ("mse", "kl"):
        diffusion = small_diffusion()
        diffusion.loss_type = loss_type
        plain, more = (
            diffusion.training_losses(lambda x, t, o=other: (torch.cat([x, x], 1), o), x, t, noise=torch.zeros_like(x))
            for other in ({}, extra)
        )
        assert more["size"].tolist() == [1, 2]
        torch.testing.assert_close(more["loss"], plain["loss"] + torch.tensor([0.5, 1.0]))


def test_a_method_of_one_object_is_called() -> None:
    expected, calls = sampled(), []

    def replace(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def replacement(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return original(*args, **kwargs)

        setattr(owner, name, replacement)

    for path in ("", "backbone", "backbone.resblocks.1.attn.attention", "time_embed.gelu"):
        model = small_model()
        replace(model.get_submodule(path), "forward")
        assert distance(sampled(model), expected) < 1e-3
    assert calls.count("forward") >= 4
    diffusion = small_diffusion()
    replace(diffusion, "p_mean_variance")
    sampled(small_model(), diffusion)
    assert "p_mean_variance" in calls


def test_hooks_see_what_the_release_would_show() -> None:
    """All the tokens of conditional and unconditional halves in every block, and the last one too."""
    model, seen = small_model(), []
    for block in model.backbone.resblocks:
        block.attn.attention.register_forward_hook(lambda module, args, output: seen.append(args[0].shape))
    expected = sampled()
    assert distance(sampled(model), expected) < 1e-3
    assert set(seen) == {(4, 1 + 256 + N_POINTS, 3 * 16)}
    handle = nn.modules.module.register_module_forward_hook(lambda module, args, output: seen.append(type(module)))
    try:
        sampled()
    finally:
        handle.remove()
    assert transformer.CLIPImageGridPointDiffusionTransformer in seen


def other_table(diffusion: GaussianDiffusion) -> None:
    diffusion.sqrt_recipm1_alphas_cumprod = diffusion.sqrt_recipm1_alphas_cumprod * 1.1


def other_value(diffusion: GaussianDiffusion) -> None:
    diffusion.posterior_mean_coef1[:] = 0
    diffusion.sqrt_recip_alphas_cumprod[100:] = 1.0


@pytest.mark.parametrize("change", [other_table, other_value])
def test_changed_tables_change_the_cloud(change: Callable[[GaussianDiffusion], None]) -> None:
    diffusion = small_diffusion()
    assert process_of(diffusion) is not None
    change(diffusion)
    assert process_of(diffusion) is None
    assert distance(sampled(small_model(), diffusion), sampled()) > 1e-3


def wrap(model: Any) -> None:
    model.backbone.resblocks[0].mlp.c_fc = nn.Sequential(model.backbone.resblocks[0].mlp.c_fc, nn.Dropout(0.0))
    nn.init.zeros_(model.backbone.resblocks[0].mlp.c_fc[0].weight)


def fewer_blocks(model: Any) -> None:
    model.backbone.resblocks = model.backbone.resblocks[:1]


CHANGES: dict[str, Callable[[Any], object]] = {
    "wrapped layer": wrap,
    "fewer blocks": fewer_blocks,
    "a bias taken away": lambda model: setattr(model.ln_post, "bias", None),
    "another epsilon": lambda model: setattr(model.ln_pre, "eps", 0.5),
    "another GELU": lambda model: setattr(model.time_embed, "gelu", nn.ReLU()),
    "pruned": lambda model: prune.l1_unstructured(model.input_proj, "weight", 0.9),
    "orthogonal": lambda model: parametrizations.orthogonal(model.output_proj),
    "time added to the points": lambda model: setattr(model, "time_token_cond", False),
    "tied": lambda model: setattr(model.backbone.resblocks[1], "mlp", model.backbone.resblocks[0].mlp),
    "weights": lambda model: nn.init.normal_(model.input_proj.weight),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@torch.no_grad()
def test_a_changed_network_is_the_one_that_is_sampled_from(change: Callable[[Any], object]) -> None:
    """What stands for it, if anything still may, gives what its own call does."""
    model, x, t = small_model(), torch.randn(2, 6, N_POINTS), torch.tensor([3, 800])
    nn.init.normal_(model.ln_post.bias)
    before = model(x, t, embeddings=GRID)
    change(model)
    expected = model(x, t, embeddings=GRID)
    assert distance(expected, before) > 3e-5
    found = as_enpointe(model, {"embeddings": GRID}, N_POINTS)
    if found is not None:
        network, conditions = found
        assert_same_sums(network(x, t, **conditions), expected, model)


def test_what_stands_for_a_network_shares_its_weights() -> None:
    model = small_model()
    found = as_enpointe(model, {"embeddings": GRID}, N_POINTS)
    assert found is not None
    network, _ = found
    assert network.input_proj.weight.data_ptr() == model.input_proj.weight.data_ptr()
    assert not network.input_proj.weight.requires_grad
    assert model.input_proj.weight.requires_grad
    assert as_enpointe(model, {"embeddings": GRID}, N_POINTS + 1) is None
    assert as_enpointe(model, {"low_res": GRID}, N_POINTS) is None
    assert as_enpointe(nn.DataParallel(model), {"embeddings": GRID}, N_POINTS) is None
    assert as_enpointe(model.train(), {"embeddings": GRID}, N_POINTS) is None


def test_another_number_of_points_than_the_network_s_is_an_error() -> None:
    with pytest.raises(InputError, match="points: expected 20 for this network, found 16"):
        sampled(small_model(n_ctx=20))


def test_seeds_for_each_sample_need_the_diffusion_as_defined() -> None:
    diffusion = small_diffusion()
    other_table(diffusion)
    with pytest.raises(InputError, match="seeds: expected the release's own diffusion"):
        sampler_of(small_model(), diffusion).sample_batch(2, {"embeddings": GRID}, seeds=[1, 2])


def test_a_subclass_of_the_sampler() -> None:
    class Sampler(PointCloudSampler):
        def split_model_output(self, output: Tensor, rescale_colors: bool = False) -> Any:
            assert len(output) == 1
            xyz, aux = super().split_model_output(output, rescale_colors)
            return xyz + 1, aux

        def sample_batch_progressive(self, batch_size: int, model_kwargs: Any) -> Any:  # type: ignore[override]
            yield from super().sample_batch_progressive(batch_size, model_kwargs)

    sampler = sampler_of(small_model(), small_diffusion())
    sampler.__class__ = Sampler
    torch.manual_seed(7)
    found = sampler.sample_batch(2, {"embeddings": GRID})
    assert torch.equal(found, sampled())
    assert torch.equal(torch.from_numpy(sampler.output_to_point_clouds(found)[1].coords), found[1, :3].T + 1)
