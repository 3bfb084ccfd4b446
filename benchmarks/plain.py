"""The released networks computed plainly, as the release computes them: the yardstick of `benchmarks.released`.

Everything in float32, the conditions embedded anew at every evaluation, every token as it is, and all attention
weights (N, heads, Q, K) in memory at once. No module, no kernel and no shortcut of `enpointe.nn` is used, only its
weights: that both give the same numbers checks both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from enpointe.nn.blocks import CrossAttentionBlock, Perceiver, SelfAttentionBlock, Transformer, time_features
from enpointe.nn.point_transformer import PointTransformer
from enpointe.nn.sdf import SDFTransformer

QUERIES = 4096
"""What the release asks of the SDF network at a time."""


class _Plain:
    """A network's weights, in float32."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self.weights = {key: value.float() for key, value in weights.items()}

    def linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def norm(self, name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def mlp(self, name: str, x: Tensor) -> Tensor:
        return self.linear(f"{name}.c_proj", F.gelu(self.linear(f"{name}.c_fc", x)))

    def self_attention_block(self, name: str, x: Tensor, heads: int) -> Tensor:
        q, k, v = (
            self.linear(f"{name}.attn.c_qkv", self.norm(f"{name}.ln_1", x)).unflatten(-1, (heads, -1)).chunk(3, -1)
        )
        x = x + self.linear(f"{name}.attn.c_proj", plain_attention(q, k, v))
        return x + self.mlp(f"{name}.mlp", self.norm(f"{name}.ln_2", x))

    def cross_attention_block(self, name: str, x: Tensor, data: Tensor, heads: int) -> Tensor:
        q = self.linear(f"{name}.attn.c_q", self.norm(f"{name}.ln_1", x)).unflatten(-1, (heads, -1))
        kv = self.linear(f"{name}.attn.c_kv", self.norm(f"{name}.ln_2", data))
        k, v = kv.unflatten(-1, (heads, -1)).chunk(2, -1)
        x = x + self.linear(f"{name}.attn.c_proj", plain_attention(q, k, v))
        return x + self.mlp(f"{name}.mlp", self.norm(f"{name}.ln_3", x))


def plain_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """q (N, Q, heads, width), k and v (N, K, heads, width) -> (N, Q, heads * width)."""
    scale = q.shape[-1] ** -0.25
    scores = torch.einsum("nqhc,nkhc->nhqk", q * scale, k * scale)
    return torch.einsum("nhqk,nkhc->nqhc", scores.softmax(-1), v).flatten(2)


def _sizes(stack: Transformer | Perceiver) -> tuple[int, int]:
    """Layers and heads."""
    first = stack.resblocks[0]
    assert isinstance(first, SelfAttentionBlock | CrossAttentionBlock)
    return len(stack.resblocks), first.attn.heads


class ReferencePoints:
    """A point diffusion transformer, called as `PointTransformer` is; without position features."""

    def __init__(self, network: PointTransformer) -> None:
        self._plain = _Plain(network.state_dict())
        self._layers, self._heads = _sizes(network.backbone)
        self._time_as_token, self._vector_as_token = network.time_as_token, network.vector_as_token
        self._has_vector = network.vector_embed is not None

    @torch.no_grad()
    def __call__(
        self,
        x: Tensor,
        t: Tensor,
        *,
        vector: Tensor | None = None,
        grids: Mapping[str, Tensor] | None = None,
        low_res: Tensor | None = None,
    ) -> Tensor:
        """Arguments and result as of `PointTransformer`."""
        plain = self._plain
        time = plain.mlp("time_embed", time_features(t, plain.weights["ln_pre.weight"].shape[0]))
        h = plain.linear("input_proj", x.transpose(1, 2))
        front: list[Tensor] = []
        pooled = []
        if self._has_vector:
            assert vector is not None
            pooled.append((plain.linear("vector_embed", vector * math.sqrt(vector.shape[1])), self._vector_as_token))
        for extra, is_token in (*pooled, (time, self._time_as_token)):
            if is_token:
                front.append(extra[:, None])
            else:
                h = h + extra[:, None]
        for name, grid in (grids or {}).items():
            normed = plain.norm(f"grid_embed.{name}.0", grid.transpose(1, 2))
            front.append(plain.linear(f"grid_embed.{name}.1", normed))
        if low_res is not None:
            scales, biases = plain.weights["channel_scales"], plain.weights["channel_biases"]
            front.append(plain.linear("cond_point_proj", (low_res.transpose(1, 2) * scales + biases)))
        h = plain.norm("ln_pre", torch.cat([*front, h], dim=1))
        for i in range(self._layers):
            h = plain.self_attention_block(f"backbone.resblocks.{i}", h, self._heads)
        h = plain.norm("ln_post", h[:, -x.shape[2] :])
        return plain.linear("output_proj", h).transpose(1, 2)


class ReferenceSDF:
    """The released signed-distance network: a cloud is encoded, queries are decoded in batches of `QUERIES`."""

    def __init__(self, network: SDFTransformer) -> None:
        self._plain = _Plain(network.state_dict())
        self._encoder = _sizes(network.encoder)
        self._decoder = _sizes(network.decoder)

    @torch.no_grad()
    def encode(self, points: Tensor) -> Tensor:
        """Clouds (N, 3, P) -> latents (N, P, width)."""
        h = self._plain.linear("encoder_input_proj", points.transpose(1, 2))
        layers, heads = self._encoder
        for i in range(layers):
            h = self._plain.self_attention_block(f"encoder.resblocks.{i}", h, heads)
        return h

    @torch.no_grad()
    def decode(self, latents: Tensor, queries: Tensor) -> Tensor:
        """Latents (N, P, width) and queries (N, 3, Q) -> signed distances (N, Q), positive inside."""
        h = self._plain.linear("decoder_input_proj", queries.transpose(1, 2))
        layers, heads = self._decoder
        for i in range(layers):
            h = self._plain.cross_attention_block(f"decoder.resblocks.{i}", h, latents, heads)
        return self._plain.linear("output_proj", self._plain.norm("ln_post", h)).squeeze(-1)
