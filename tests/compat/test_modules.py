"""The release's networks as trees of modules: what pairs names with weights, extends or wraps them works as there."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from point_e.models.configs import MODEL_CONFIGS, model_from_config
from point_e.models.perceiver import SimplePerceiver
from point_e.models.transformer import (
    MLP,
    CLIPImageGridPointDiffusionTransformer,
    PointDiffusionTransformer,
    Transformer,
    timestep_embedding,
)
from rounding import assert_same_sums

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {"width": 16, "layers": 1, "heads": 2, "n_ctx": 8}
X, T, GRID = torch.randn(2, 6, 8), torch.tensor([3, 500]), torch.randn(2, 1024, 4)
NAMES = sorted(set(MODEL_CONFIGS) - {"sdf"})


def small(name: str = "base40M", **options: Any) -> Any:
    model = model_from_config({**MODEL_CONFIGS[name], **SMALL, **options}, CPU)
    nn.init.normal_(model.output_proj.weight)
    return model.eval()


def conditions(model: Any) -> dict[str, Tensor]:
    """Something for each condition that a network takes."""
    given = {"embeddings": GRID} if hasattr(model, "clip_embed") else {}
    if isinstance(getattr(model, "clip_embed", None), nn.Linear):
        given["embeddings"] = torch.randn(2, 768)
    return given | ({"low_res": torch.randn(2, 6, 5)} if hasattr(model, "cond_point_proj") else {})


@pytest.mark.golden
@pytest.mark.parametrize("name", NAMES)
def test_parameters_have_the_release_s_names_in_its_order(golden_folder: Path, name: str) -> None:
    """An optimizer's state goes by the order."""
    manifest = list(json.loads((golden_folder / "manifests.json").read_text())[name])
    model = model_from_config(MODEL_CONFIGS[name], torch.device("meta"))
    buffers = [key for key, _ in model.named_buffers()]
    assert [key for key, _ in model.named_parameters()] == [key for key in manifest if key not in buffers]
    assert set(buffers) == {key for key in manifest if key.startswith("channel_")}


def test_a_network_has_the_release_s_parts() -> None:
    model = small("upsample", width=64)
    assert isinstance(model.backbone, Transformer)
    assert isinstance(model.time_embed, MLP)
    for name in ("ln_pre", "ln_post"):
        assert isinstance(getattr(model, name), nn.LayerNorm)
    for name, shape in (("input_proj", (64, 6)), ("output_proj", (12, 64)), ("cond_point_proj", (64, 6))):
        assert getattr(model, name).weight.shape == shape
    assert [type(part) for part in model.clip_embed] == [nn.LayerNorm, nn.Linear]
    assert model.channel_scales.tolist() == pytest.approx(MODEL_CONFIGS["upsample"]["channel_scales"])
    assert (model.backbone.width, model.backbone.layers, model.backbone.n_ctx) == (64, 1, 8 + 1024 + 256 + 1)
    low_res = torch.randn(2, 6, 5)
    scaled = low_res * model.channel_scales[:, None] + model.channel_biases[:, None]
    assert_same_sums(model._embed_low_res(low_res), model.cond_point_proj(scaled.transpose(1, 2)), 6)
    plain = model_from_config({"name": "UpsamplePointDiffusionTransformer", **SMALL}, CPU)
    assert plain.channel_scales is plain.channel_biases is None
    sdf = model_from_config({**MODEL_CONFIGS["sdf"], "width": 16}, CPU)
    assert isinstance(sdf.encoder, Transformer)
    assert isinstance(sdf.decoder, SimplePerceiver)
    assert [key for key, _ in sdf.named_parameters()] == list(sdf.state_dict())


def test_a_subclass_puts_conditions_together_itself() -> None:
    class Unconditional(CLIPImageGridPointDiffusionTransformer):
        def forward(self, x: Tensor, t: Tensor, **_: Any) -> Tensor:  # type: ignore[override]
            time = self.time_embed(timestep_embedding(t, self.backbone.width))
            return self._forward_with_cond(x, [(time, self.time_token_cond)])

    options: dict[str, Any] = {"input_channels": 6, "output_channels": 12, "time_token_cond": True, **SMALL}
    model = Unconditional(device=CPU, dtype=torch.float32, **options)
    nn.init.normal_(model.output_proj.weight)
    bare = PointDiffusionTransformer(device=CPU, dtype=torch.float32, **options)
    bare.load_state_dict({key: value for key, value in model.state_dict().items() if "clip_embed" not in key})
    assert_same_sums(model(X, T, embeddings=GRID), bare(X, T), bare)


@pytest.mark.parametrize("as_token", [False, True])
def test_a_condition_is_tokens_or_is_added(as_token: bool) -> None:
    model = small("base40M-uncond")
    shift = torch.randn(2, 16)
    if as_token:  # one more token that nothing attends to differs from none
        found = model._forward_with_cond(X, [(shift, True)])
        assert_same_sums(found, model._forward_with_cond(X, [(shift[:, None], True)]), model)
        return
    moved = copy.deepcopy(model)
    with torch.no_grad():
        moved.input_proj.bias += shift[0]
    assert_same_sums(model._forward_with_cond(X[:1], [(shift[:1], False)]), moved._forward_with_cond(X[:1], []), model)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns(name: str) -> None:
    model = small(name).train()
    model(X, T, **conditions(model)).square().sum().backward()
    assert [key for key, weight in model.named_parameters() if weight.grad is None] == []


def test_only_what_is_asked_for_is_trained() -> None:
    model = small()
    for key, weight in model.named_parameters():
        weight.requires_grad_("clip_embed" in key)
    assert [key for key, weight in model.named_parameters() if weight.requires_grad] == [
        "clip_embed.0.weight", "clip_embed.0.bias", "clip_embed.1.weight", "clip_embed.1.bias",
    ]  # fmt: skip


def test_weights_given_to_a_call() -> None:
    """functional_call, and gradients by function and by sample."""
    model, other = small(), small()
    cond = {"embeddings": GRID}
    found = torch.func.functional_call(model, other.state_dict(), (X, T), cond)
    assert torch.equal(found, other(X, T, **cond))

    def loss(weights: dict[str, Tensor]) -> Tensor:
        output: Tensor = torch.func.functional_call(model, weights, (X, T), cond)
        return output.square().sum()

    by_function = torch.func.grad(loss)(dict(other.named_parameters()))
    other(X, T, **cond).square().sum().backward()
    for key, weight in other.named_parameters():
        assert weight.grad is not None
        torch.testing.assert_close(by_function[key], weight.grad, rtol=1e-3, atol=1e-4)


def test_missing_keys_are_named() -> None:
    model = small()
    state = model.state_dict()
    del state["ln_pre.weight"]
    assert model.load_state_dict(state, strict=False).missing_keys == ["ln_pre.weight"]


def test_copies_and_whole_modules_in_files() -> None:
    model = small("base40M-textvec")
    cond, file = conditions(model), io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    averaged = torch.optim.swa_utils.AveragedModel(model)
    averaged.update_parameters(model)
    for other in (copy.deepcopy(model), torch.load(file, weights_only=False), averaged):
        assert torch.equal(other.eval()(X, T, **cond), model(X, T, **cond))


def test_fresh_weights_are_the_release_s_under_a_seed() -> None:
    """Drawn in its order: PyTorch's own for every layer as it is made, then the blocks' normal ones."""
    torch.manual_seed(5)
    mlp = MLP(device=CPU, dtype=torch.float32, width=4, init_scale=0.3)
    torch.manual_seed(5)
    first, second = nn.Linear(4, 16), nn.Linear(16, 4)
    for layer, found in ((first, mlp.c_fc), (second, mlp.c_proj)):
        assert torch.equal(nn.init.normal_(layer.weight, std=0.3), found.weight)
    model = model_from_config({**MODEL_CONFIGS["base40M"], **SMALL}, CPU)
    assert not model.output_proj.weight.any()
    assert not model.output_proj.bias.any()
    spread = float(model.input_proj.weight.detach().std())
    assert spread == pytest.approx(1 / (3 * 6) ** 0.5, rel=0.3)  # PyTorch's: uniform to 1 / sqrt(inputs)


class Adapted(nn.Module):
    """A layer with something of lower rank beside it, as LoRA has it."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer
        self.down = nn.Linear(layer.in_features, 2, bias=False)
        self.up = nn.Linear(2, layer.out_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + self.up(self.down(x))


def test_a_layer_may_be_wrapped() -> None:
    model = small()
    before = model(X, T, embeddings=GRID)
    attention = model.backbone.resblocks[0].attn
    attention.c_qkv = Adapted(attention.c_qkv)
    assert "backbone.resblocks.0.attn.c_qkv.up.weight" in model.state_dict()
    assert not torch.allclose(model(X, T, embeddings=GRID), before)


def test_adapters_of_peft_have_the_network_s_names() -> None:
    peft = pytest.importorskip("peft", reason="peft is not installed")
    adapted = peft.get_peft_model(small("base40M-textvec"), peft.LoraConfig(target_modules=["c_qkv"], r=2))
    assert list(peft.get_peft_model_state_dict(adapted)) == [
        f"base_model.model.backbone.resblocks.0.attn.c_qkv.lora_{part}.weight" for part in "AB"
    ]


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    """A process group of this process alone."""
    distributed = pytest.importorskip("torch.distributed")
    if not distributed.is_available() or not distributed.is_gloo_available():
        pytest.skip("PyTorch was built without gloo")
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("group")
def test_a_network_in_shards() -> None:
    from torch.distributed.checkpoint.state_dict import get_model_state_dict
    from torch.distributed.fsdp import fully_shard

    model = small()
    expected, keys = model(X, T, embeddings=GRID), list(model.state_dict())
    assert list(get_model_state_dict(model)) == keys
    for block in model.backbone.resblocks:
        fully_shard(block)
    fully_shard(model)
    assert list(model.state_dict()) == keys
    assert_same_sums(model(X, T, embeddings=GRID), expected, model)
