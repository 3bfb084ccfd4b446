"""A network as enpointe's own, which embeds conditions once for many evaluations and takes equal tokens as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from enpointe.checkpoints.adapters import IMAGE
from enpointe.checkpoints.structure import Unfilled, release_keys
from enpointe.nn.point_transformer import PointTransformer
from point_e._originals import Parts, is_as_its_class_says

from . import checkpoint, pretrained_clip, transformer, util
from .transformer import (
    CLIPImageGridPointDiffusionTransformer,
    CLIPImageGridUpsamplePointDiffusionTransformer,
    CLIPImagePointDiffusionTransformer,
    PointDiffusionTransformer,
    UpsamplePointDiffusionTransformer,
)

Network = PointDiffusionTransformer
Conditions = dict[str, Any]

CONDITIONS: dict[type[Network], Callable[..., Conditions]] = {
    PointDiffusionTransformer: dict,
    CLIPImagePointDiffusionTransformer: lambda embeddings: {"vector": embeddings},
    CLIPImageGridPointDiffusionTransformer: lambda embeddings: {"grids": {IMAGE: embeddings}},
    UpsamplePointDiffusionTransformer: lambda low_res: {"low_res": low_res},
    CLIPImageGridUpsamplePointDiffusionTransformer: lambda embeddings, low_res: {
        "grids": {IMAGE: embeddings},
        "low_res": low_res,
    },
}
"""Network -> its call's conditions, as enpointe's network takes them."""

PARTS = Parts(
    *CONDITIONS,
    transformer.MLP,
    transformer.MultiheadAttention,
    transformer.QKVMultiheadAttention,
    transformer.ResidualAttentionBlock,
    transformer.Transformer,
    pretrained_clip.ImageCLIP,
    nn.GELU,
    nn.LayerNorm,
    nn.Linear,
    nn.ModuleList,
    nn.Sequential,
    eps=1e-5,
    approximate="none",
)
MODULES = (checkpoint, pretrained_clip, transformer, util)


def as_enpointe(model: object, conditions: Conditions, n_points: int) -> tuple[PointTransformer, Conditions] | None:
    """enpointe's network with the model's own weights, not copied, and the conditions as it takes them.

    None where a call of the model may be anything else than an evaluation of that network: in training, for a
    subclass, for other conditions or another number of points, or where something has been replaced, added or hooked,
    in the model or in the modules that define it.
    """
    if type(model) not in CONDITIONS or not isinstance(model, Network) or not _is_plain(model):
        return None
    if n_points != model.n_ctx or not all(isinstance(value, Tensor) for value in conditions.values()):
        return None
    try:
        renamed = CONDITIONS[type(model)](**conditions)
    except TypeError:  # the model's own call says best what is wrong with them
        return None
    network = enpointe_network(model)
    return None if network is None else (network, renamed)


def _is_plain(model: Network) -> bool:
    if model.training or not PARTS.make_up(model) or not all(module.ORIGINALS.are_in_place() for module in MODULES):
        return False
    clip = getattr(model, "clip", None)
    if isinstance(clip, pretrained_clip.FrozenImageCLIP):
        return is_as_its_class_says(clip) and PARTS.make_up(clip.model)
    return clip is None


def enpointe_network(model: Network) -> PointTransformer | None:
    """enpointe's network with the model's own weights, not copied; None where they are not such a network's."""
    blocks = [block for block in model.backbone.resblocks if isinstance(block, transformer.ResidualAttentionBlock)]
    heads = {block.attn.attention.heads for block in blocks}
    if len(heads) != 1:
        return None
    layout: dict[str, Any] = {}
    tensors = {name: tensor.detach() for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    if isinstance(model, CLIPImagePointDiffusionTransformer):
        layout |= {"vector": model.clip_embed.in_features, "vector_as_token": model.token_cond}
    elif "clip_embed.1.weight" in tensors:
        layout["grids"] = ((IMAGE, tensors["clip_embed.1.weight"].shape[1]),)
    if isinstance(model, UpsamplePointDiffusionTransformer):
        channels = model.cond_point_proj.in_features
        layout |= {"low_res": True, "channel_scales": (1.0,) * channels, "channel_biases": (0.0,) * channels}
        for name in ("channel_scales", "channel_biases"):
            tensors.setdefault(name, model.cond_point_proj.weight.new_tensor(layout[name]))
    with torch.device("meta"), Unfilled():
        network = PointTransformer(
            width=model.backbone.width,
            layers=len(blocks),
            heads=heads.pop(),
            input_channels=model.input_proj.in_features,
            output_channels=model.output_proj.out_features,
            time_as_token=model.time_token_cond,
            **layout,
        )
    ours, expected = release_keys(network), network.state_dict()
    shapes = {name: expected[key].shape for name, key in ours.items()}
    if {name: tensor.shape for name, tensor in tensors.items()} != shapes:
        return None
    network.load_state_dict({ours[name]: tensor for name, tensor in tensors.items()}, assign=True)
    return network.requires_grad_(False).eval()
