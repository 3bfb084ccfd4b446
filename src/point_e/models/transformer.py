"""The release's point-cloud networks, module by module under its names: a parameter's name is its state-dict key."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from enpointe.core.errors import InputError
from enpointe.nn.attention import attention, merge_heads, split_heads
from point_e._originals import Originals

from .checkpoint import checkpoint as checkpoint
from .pretrained_clip import FrozenImageCLIP as FrozenImageCLIP
from .pretrained_clip import ImageCLIP as ImageCLIP
from .pretrained_clip import ImageType as ImageType
from .util import timestep_embedding as timestep_embedding

Device = torch.device | str


def init_linear(l: nn.Linear, stddev: float) -> None:  # noqa: E741 - the release's name
    """Normal weights of a standard deviation, zero biases."""
    nn.init.normal_(l.weight, std=stddev)
    if l.bias is not None:
        nn.init.zeros_(l.bias)


# Layers are built first and initialized then, in the release's order: under torch.manual_seed fresh weights are its.


class MultiheadAttention(nn.Module):
    """(N, L, width) -> (N, L, width). n_ctx is not used."""

    def __init__(
        self, *, device: Device, dtype: torch.dtype, n_ctx: int, width: int, heads: int, init_scale: float
    ) -> None:
        super().__init__()
        self.n_ctx = n_ctx
        self.width = width
        self.heads = heads
        self.c_qkv = nn.Linear(width, 3 * width, device=device, dtype=dtype)
        self.c_proj = nn.Linear(width, width, device=device, dtype=dtype)
        self.attention = QKVMultiheadAttention(device=device, dtype=dtype, heads=heads, n_ctx=n_ctx)
        for layer in (self.c_qkv, self.c_proj):
            init_linear(layer, init_scale)

    def forward(self, x: Tensor) -> Tensor:
        # False: the fused kernel keeps no scores for the backward pass, so that nothing is worth computing again.
        return self.c_proj(checkpoint(self.attention, (self.c_qkv(x),), (), False))


class MLP(nn.Module):
    """(..., width) -> (..., width). init_scale: standard deviation of fresh weights."""

    def __init__(self, *, device: Device, dtype: torch.dtype, width: int, init_scale: float) -> None:
        super().__init__()
        self.width = width
        self.c_fc = nn.Linear(width, 4 * width, device=device, dtype=dtype)
        self.c_proj = nn.Linear(4 * width, width, device=device, dtype=dtype)
        self.gelu = nn.GELU()
        for layer in (self.c_fc, self.c_proj):
            init_linear(layer, init_scale)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(self.gelu(self.c_fc(x)))


class QKVMultiheadAttention(nn.Module):
    """Attention of queries, keys and values that lie in one tensor. Has no weights; n_ctx is not used."""

    def __init__(self, *, device: Device, dtype: torch.dtype, heads: int, n_ctx: int) -> None:
        super().__init__()
        self.device = device
        self.dtype = dtype
        self.heads = heads
        self.n_ctx = n_ctx

    def forward(self, qkv: Tensor) -> Tensor:
        """(N, L, 3 width) -> (N, L, width); channels head by head, and within a head q, k, v."""
        q, k, v = split_heads(qkv, self.heads, 3)
        return merge_heads(attention(q, k, v))


class ResidualAttentionBlock(nn.Module):
    """(N, L, width) -> (N, L, width). n_ctx is not used."""

    def __init__(
        self, *, device: Device, dtype: torch.dtype, n_ctx: int, width: int, heads: int, init_scale: float = 1.0
    ) -> None:
        super().__init__()
        self.attn = MultiheadAttention(
            device=device, dtype=dtype, n_ctx=n_ctx, width=width, heads=heads, init_scale=init_scale
        )
        self.ln_1 = nn.LayerNorm(width, device=device, dtype=dtype)
        self.mlp = MLP(device=device, dtype=dtype, width=width, init_scale=init_scale)
        self.ln_2 = nn.LayerNorm(width, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    """(N, L, width) -> (N, L, width). init_scale: of fresh weights, before it is divided by sqrt(width)."""

    def __init__(
        self,
        *,
        device: Device,
        dtype: torch.dtype,
        n_ctx: int,
        width: int,
        layers: int,
        heads: int,
        init_scale: float = 0.25,
    ) -> None:
        super().__init__()
        self.n_ctx = n_ctx
        self.width = width
        self.layers = layers
        stddev = init_scale / math.sqrt(width)
        self.resblocks = nn.ModuleList(
            ResidualAttentionBlock(device=device, dtype=dtype, n_ctx=n_ctx, width=width, heads=heads, init_scale=stddev)
            for _ in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        for block in self.resblocks:
            x = block(x)
        return x


class PointDiffusionTransformer(nn.Module):
    """The network without conditions, and what the others have in common.

    Args:
        device, dtype: of the weights.
        input_channels, output_channels: of a point.
        n_ctx: number of points.
        width, layers, heads: of the transformer.
        init_scale: of fresh weights.
        time_token_cond: whether the time is a token of its own or added to every point.
    """

    def __init__(
        self,
        *,
        device: Device,
        dtype: torch.dtype,
        input_channels: int = 3,
        output_channels: int = 3,
        n_ctx: int = 1024,
        width: int = 512,
        layers: int = 12,
        heads: int = 8,
        init_scale: float = 0.25,
        time_token_cond: bool = False,
    ) -> None:
        super().__init__()
        self.input_channels = input_channels
        self.output_channels = output_channels
        self.n_ctx = n_ctx
        self.time_token_cond = time_token_cond
        self.time_embed = MLP(device=device, dtype=dtype, width=width, init_scale=init_scale / math.sqrt(width))
        self.ln_pre = nn.LayerNorm(width, device=device, dtype=dtype)
        self.backbone = Transformer(
            device=device,
            dtype=dtype,
            n_ctx=n_ctx + int(time_token_cond),
            width=width,
            layers=layers,
            heads=heads,
            init_scale=init_scale,
        )
        self.ln_post = nn.LayerNorm(width, device=device, dtype=dtype)
        self.input_proj = nn.Linear(input_channels, width, device=device, dtype=dtype)
        self.output_proj = nn.Linear(width, output_channels, device=device, dtype=dtype)
        for parameter in self.output_proj.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Points (N, C, n_ctx) at times (N,) -> (N, C', n_ctx)."""
        return self._forward_with_cond(x, [(self._embed_time(x, t), self.time_token_cond)])

    def _embed_time(self, x: Tensor, t: Tensor) -> Tensor:
        """What times (N,) are to the network, (N, width); x, the points that go with them, must be n_ctx each."""
        if x.shape[-1] != self.n_ctx:
            raise InputError(f"points: expected {self.n_ctx} for this network, found {x.shape[-1]}")
        return self.time_embed(timestep_embedding(t, self.backbone.width).to(x.dtype))

    def _forward_with_cond(self, x: Tensor, cond_as_token: Sequence[tuple[Tensor, bool]]) -> Tensor:
        """Points (N, C, L) -> (N, C', L).

        Args:
            cond_as_token: conditions (N, width) or (N, K, width), each with whether it becomes tokens in front of
                the points, in this order, or is added to every point.
        """
        h = self.input_proj(x.permute(0, 2, 1))
        tokens = []
        for embedding, as_token in cond_as_token:
            if as_token:
                tokens.append(embedding if embedding.ndim == 3 else embedding[:, None])
            else:
                h = h + embedding[:, None]
        h = self.ln_pre(torch.cat([*tokens, h], dim=1))
        h = self.ln_post(self.backbone(h))
        return self.output_proj(h[:, h.shape[1] - x.shape[2] :]).permute(0, 2, 1)

    def _dropped(self, condition: Tensor, share: float) -> Tensor:
        """The condition (N, ...); in training with zeros for a share of the samples, drawn globally."""
        if not self.training:
            return condition
        kept = torch.rand(len(condition)) >= share
        return condition * kept.to(condition).reshape(-1, *[1] * (condition.ndim - 1))


class CLIPImagePointDiffusionTransformer(PointDiffusionTransformer):
    """Conditioned on a CLIP vector of an image or a text.

    Args:
        token_cond: whether the vector is a token of its own or added to every point.
        cond_drop_prob: how often a sample loses its condition in training.
        frozen_clip: only True, see `ImageCLIP`.
        cache_dir: not used, see `ImageCLIP`.
    """

    def __init__(
        self,
        *,
        device: Device,
        dtype: torch.dtype,
        n_ctx: int = 1024,
        token_cond: bool = False,
        cond_drop_prob: float = 0.0,
        frozen_clip: bool = True,
        cache_dir: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(device=device, dtype=dtype, n_ctx=n_ctx + int(token_cond), **kwargs)
        self.n_ctx = n_ctx
        self.token_cond = token_cond
        self.clip = _clip(device, frozen_clip, cache_dir)
        self.clip_embed = nn.Linear(self.clip.feature_dim, self.backbone.width, device=device, dtype=dtype)
        self.cond_drop_prob = cond_drop_prob

    def cached_model_kwargs(self, batch_size: int, model_kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """texts, images or embeddings -> the embeddings, to be made once for all the steps."""
        with torch.no_grad():
            return {"embeddings": self.clip(batch_size, **model_kwargs)}

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        images: Iterable[ImageType | None] | None = None,
        texts: Iterable[str | None] | None = None,
        embeddings: Iterable[Tensor | None] | None = None,
    ) -> Tensor:
        """Points (N, C, n_ctx) at times (N,) -> (N, C', n_ctx); a sample without a condition is unconditional."""
        time = self._embed_time(x, t)
        vectors = self.clip(batch_size=len(x), images=images, texts=texts, embeddings=embeddings)
        vectors = self._dropped(vectors, self.cond_drop_prob)
        # Of unit length before, of unit variance then.
        embedded = self.clip_embed(math.sqrt(vectors.shape[1]) * vectors)
        return self._forward_with_cond(x, [(embedded, self.token_cond), (time, self.time_token_cond)])


class CLIPImageGridPointDiffusionTransformer(PointDiffusionTransformer):
    """Conditioned on an image's CLIP grid. Arguments as in `CLIPImagePointDiffusionTransformer`."""

    def __init__(
        self,
        *,
        device: Device,
        dtype: torch.dtype,
        n_ctx: int = 1024,
        cond_drop_prob: float = 0.0,
        frozen_clip: bool = True,
        cache_dir: str | None = None,
        **kwargs: Any,
    ) -> None:
        clip = _clip(device, frozen_clip, cache_dir)
        super().__init__(device=device, dtype=dtype, n_ctx=n_ctx + clip.grid_size**2, **kwargs)
        self.n_ctx = n_ctx
        self.clip = clip
        self.clip_embed = _grid_embed(clip, self.backbone.width, device, dtype)
        self.cond_drop_prob = cond_drop_prob

    def cached_model_kwargs(self, batch_size: int, model_kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """images -> their grids, to be made once for all the steps; embeddings stay as they are."""
        if "embeddings" in model_kwargs:
            return {"embeddings": model_kwargs["embeddings"]}
        if "images" not in model_kwargs:
            raise InputError(f"conditions: expected images for this network, found {', '.join(model_kwargs) or 'none'}")
        with torch.no_grad():
            return {"embeddings": self.clip.embed_images_grid(model_kwargs["images"])}

    def forward(
        self, x: Tensor, t: Tensor, images: Iterable[ImageType] | None = None, embeddings: Tensor | None = None
    ) -> Tensor:
        """Points (N, C, n_ctx) at times (N,) and images, or embeddings (N, C'', L) -> (N, C', n_ctx)."""
        time = self._embed_time(x, t)
        if images is not None and embeddings is None:
            embeddings = self.clip.embed_images_grid(images)
        elif images is not None or embeddings is None:
            found = "neither" if images is None else "both"
            raise InputError(f"conditions: expected images or embeddings, found {found}")
        grid = self.clip_embed(self._dropped(embeddings, self.cond_drop_prob).permute(0, 2, 1))
        return self._forward_with_cond(x, [(time, self.time_token_cond), (grid, True)])


class UpsamplePointDiffusionTransformer(PointDiffusionTransformer):
    """Conditioned on coarse points.

    Args:
        cond_input_channels: of a coarse point; None: as many as of a point.
        cond_ctx: number of coarse points; not used, any number will do.
        channel_scales, channel_biases: what brings coarse points from world units to about [-1, 1]; None leaves
            them as they are.
    """

    channel_scales: Tensor | None
    channel_biases: Tensor | None

    def __init__(
        self,
        *,
        device: Device,
        dtype: torch.dtype,
        cond_input_channels: int | None = None,
        cond_ctx: int = 1024,
        n_ctx: int = 3072,
        channel_scales: Sequence[float] | None = None,
        channel_biases: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(device=device, dtype=dtype, n_ctx=n_ctx + cond_ctx, **kwargs)
        self.n_ctx = n_ctx
        self.cond_input_channels = cond_input_channels or self.input_channels
        self.cond_point_proj = nn.Linear(self.cond_input_channels, self.backbone.width, device=device, dtype=dtype)
        for name, values in (("channel_scales", channel_scales), ("channel_biases", channel_biases)):
            self.register_buffer(name, None if values is None else torch.tensor(values, dtype=dtype, device=device))

    # The release's call needs more than its parent's.
    def forward(self, x: Tensor, t: Tensor, *, low_res: Tensor) -> Tensor:  # type: ignore[override]
        """Points (N, C, n_ctx) at times (N,) and coarse points (N, C'', K) in world units -> (N, C', n_ctx)."""
        time = self._embed_time(x, t)
        return self._forward_with_cond(x, [(time, self.time_token_cond), (self._embed_low_res(low_res), True)])

    def _embed_low_res(self, x: Tensor) -> Tensor:
        """Coarse points (N, C'', K) in world units -> tokens (N, K, width)."""
        if self.channel_scales is not None:
            x = x * self.channel_scales[:, None]
        if self.channel_biases is not None:
            x = x + self.channel_biases[:, None]
        return self.cond_point_proj(x.permute(0, 2, 1))


class CLIPImageGridUpsamplePointDiffusionTransformer(UpsamplePointDiffusionTransformer):
    """Conditioned on coarse points and, if there is one, on an image's CLIP grid."""

    def __init__(
        self,
        *,
        device: Device,
        dtype: torch.dtype,
        n_ctx: int = 3072,
        cond_drop_prob: float = 0.0,
        frozen_clip: bool = True,
        cache_dir: str | None = None,
        **kwargs: Any,
    ) -> None:
        clip = _clip(device, frozen_clip, cache_dir)
        super().__init__(device=device, dtype=dtype, n_ctx=n_ctx + clip.grid_size**2, **kwargs)
        self.n_ctx = n_ctx
        self.clip = clip
        self.clip_embed = _grid_embed(clip, self.backbone.width, device, dtype)
        self.cond_drop_prob = cond_drop_prob

    def cached_model_kwargs(self, batch_size: int, model_kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """images -> their grids, to be made once for all the steps; without any, grids of zeros."""
        if "embeddings" in model_kwargs:
            grids = model_kwargs["embeddings"]
        elif "images" in model_kwargs:
            with torch.no_grad():
                grids = self.clip.embed_images_grid(model_kwargs["images"])
        else:
            grids = self._no_image(batch_size, next(self.parameters()))
        return {"embeddings": grids, "low_res": model_kwargs["low_res"]}

    def forward(  # type: ignore[override]
        self,
        x: Tensor,
        t: Tensor,
        *,
        low_res: Tensor,
        images: Iterable[ImageType] | None = None,
        embeddings: Tensor | None = None,
    ) -> Tensor:
        """As `UpsamplePointDiffusionTransformer`, with images or embeddings (N, C''', L), or neither."""
        time = self._embed_time(x, t)
        if images is not None:
            embeddings = self.clip.embed_images_grid(images)
        if embeddings is None:
            embeddings = self._no_image(len(x), x)
        grid = self.clip_embed(self._dropped(embeddings, self.cond_drop_prob).permute(0, 2, 1))
        cond = [(time, self.time_token_cond), (grid, True), (self._embed_low_res(low_res), True)]
        return self._forward_with_cond(x, cond)

    def _no_image(self, n_samples: int, like: Tensor) -> Tensor:
        return like.new_zeros(n_samples, self.clip.grid_feature_dim, self.clip.grid_size**2)


def _clip(device: Device, frozen: bool, cache_dir: str | None) -> FrozenImageCLIP:
    if not frozen:
        raise InputError("frozen_clip: expected True, for CLIP is not trained here, found False")
    return FrozenImageCLIP(device, cache_dir=cache_dir)


def _grid_embed(clip: FrozenImageCLIP, width: int, device: Device, dtype: torch.dtype) -> nn.Sequential:
    """(N, L, channels of the grid) -> (N, L, width)."""
    channels = clip.grid_feature_dim
    return nn.Sequential(
        nn.LayerNorm(channels, device=device, dtype=dtype), nn.Linear(channels, width, device=device, dtype=dtype)
    )


ORIGINALS = Originals(globals())
