"""The release's point-cloud networks: its constructors, calls and state-dict keys, around enpointe's network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from enpointe.checkpoints.adapters import IMAGE
from enpointe.core.errors import InputError
from enpointe.nn.blocks import init_weights
from enpointe.nn.point_transformer import PointTransformer

from .blocks import MLP as MLP
from .blocks import MultiheadAttention as MultiheadAttention
from .blocks import QKVMultiheadAttention as QKVMultiheadAttention
from .blocks import ResidualAttentionBlock as ResidualAttentionBlock
from .blocks import Transformer as Transformer
from .blocks import init_linear as init_linear
from .keys import ReleasedKeys
from .pretrained_clip import FrozenImageCLIP, ImageType


class PointDiffusionTransformer(ReleasedKeys):
    """The network without conditions, and what the others have in common.

    `network` is enpointe's. Weights go in and out under the release's names.

    Args:
        device, dtype: of the weights.
        input_channels, output_channels: of a point.
        n_ctx: number of points.
        width, layers, heads: of the transformer.
        init_scale: of fresh weights.
        time_token_cond: whether the time is a token of its own or added to every point.
        conditions: enpointe's options for them.
    """

    network: PointTransformer

    def __init__(
        self,
        *,
        device: torch.device | str,
        dtype: torch.dtype,
        input_channels: int = 3,
        output_channels: int = 3,
        n_ctx: int = 1024,
        width: int = 512,
        layers: int = 12,
        heads: int = 8,
        init_scale: float = 0.25,
        time_token_cond: bool = False,
        **conditions: Any,
    ) -> None:
        super().__init__()
        self.input_channels = input_channels
        self.output_channels = output_channels
        self.n_ctx = n_ctx
        self.time_token_cond = time_token_cond
        self.network = PointTransformer(
            width=width,
            layers=layers,
            heads=heads,
            input_channels=input_channels,
            output_channels=output_channels,
            time_as_token=time_token_cond,
            **conditions,
        )
        init_weights(self.network.backbone, width, init_scale)
        self.network.to(device=device, dtype=dtype)

    @property
    def is_plain(self) -> bool:
        """Whether a call comes to no more than `network` and `core_conditions`: no hooks, not training."""
        hooks = self._forward_hooks or self._forward_pre_hooks
        return not self.training and not hooks and type(self).__module__ == __name__ and "forward" not in vars(self)

    def core_conditions(self, **cached_model_kwargs: Any) -> dict[str, Any]:
        """What `cached_model_kwargs` gives, as `network` takes it."""
        return dict(cached_model_kwargs)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Points (N, C, n_ctx) at times (N,) -> (N, C', n_ctx)."""
        return self._evaluate(x, t)

    def _evaluate(self, x: Tensor, t: Tensor, **conditions: Any) -> Tensor:
        if x.shape[-1] != self.n_ctx:
            raise InputError(f"points: expected {self.n_ctx} for this network, found {x.shape[-1]}")
        return self.network(x, t, **conditions)

    def _dropped(self, condition: Tensor, share: float) -> Tensor:
        """The condition (N, ...); in training with zeros for a share of the samples, drawn globally."""
        if not self.training:
            return condition
        kept = torch.rand(len(condition)) >= share
        return condition * kept.to(condition).reshape(-1, *[1] * (condition.ndim - 1))


class CLIPImagePointDiffusionTransformer(PointDiffusionTransformer):
    """Conditioned on a CLIP vector of a picture or a text.

    Args:
        token_cond: whether the vector is a token of its own or added to every point.
        cond_drop_prob: how often a sample loses its condition in training.
        frozen_clip: only True.
        cache_dir: not used, see `FrozenImageCLIP`.
    """

    def __init__(
        self,
        *,
        device: torch.device | str,
        dtype: torch.dtype,
        n_ctx: int = 1024,
        token_cond: bool = False,
        cond_drop_prob: float = 0.0,
        frozen_clip: bool = True,
        cache_dir: str | None = None,
        **kwargs: Any,
    ) -> None:
        clip = _clip(device, frozen_clip, cache_dir)
        conditions: dict[str, Any] = {"vector": clip.feature_dim, "vector_as_token": token_cond}
        super().__init__(device=device, dtype=dtype, n_ctx=n_ctx, **conditions, **kwargs)
        self.token_cond = token_cond
        self.clip = clip
        self.cond_drop_prob = cond_drop_prob

    def cached_model_kwargs(self, batch_size: int, model_kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """texts, images or embeddings -> the embeddings, to be made once for all the steps."""
        with torch.no_grad():
            return {"embeddings": self.clip(batch_size, **model_kwargs)}

    def core_conditions(self, **cached_model_kwargs: Any) -> dict[str, Any]:
        return {"vector": cached_model_kwargs["embeddings"]}

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        images: Iterable[ImageType | None] | None = None,
        texts: Iterable[str | None] | None = None,
        embeddings: Iterable[Tensor | None] | None = None,
    ) -> Tensor:
        """Points (N, C, n_ctx) at times (N,) -> (N, C', n_ctx); a sample without a condition is unconditional."""
        vectors = self.clip(len(x), images=images, texts=texts, embeddings=embeddings)
        return self._evaluate(x, t, vector=self._dropped(vectors, self.cond_drop_prob))


class CLIPImageGridPointDiffusionTransformer(PointDiffusionTransformer):
    """Conditioned on a picture's CLIP grid. Arguments as in `CLIPImagePointDiffusionTransformer`."""

    def __init__(
        self,
        *,
        device: torch.device | str,
        dtype: torch.dtype,
        n_ctx: int = 1024,
        cond_drop_prob: float = 0.0,
        frozen_clip: bool = True,
        cache_dir: str | None = None,
        **kwargs: Any,
    ) -> None:
        clip = _clip(device, frozen_clip, cache_dir)
        grids = ((IMAGE, clip.grid_feature_dim),)
        super().__init__(device=device, dtype=dtype, n_ctx=n_ctx, grids=grids, **kwargs)
        self.clip = clip
        self.cond_drop_prob = cond_drop_prob

    def cached_model_kwargs(self, batch_size: int, model_kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """images -> their grids, to be made once for all the steps; embeddings stay as they are."""
        if "embeddings" in model_kwargs:
            return {"embeddings": model_kwargs["embeddings"]}
        if "images" not in model_kwargs:
            raise InputError(f"conditions: expected images for this network, found {', '.join(model_kwargs) or 'none'}")
        return {"embeddings": self.clip.embed_images_grid(model_kwargs["images"])}

    def core_conditions(self, **cached_model_kwargs: Any) -> dict[str, Any]:
        return {"grids": {IMAGE: cached_model_kwargs["embeddings"]}}

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        images: Iterable[ImageType] | None = None,
        embeddings: Tensor | None = None,
    ) -> Tensor:
        """Points (N, C, n_ctx) at times (N,) and images, or embeddings (N, C'', L) -> (N, C', n_ctx)."""
        if images is not None and embeddings is None:
            embeddings = self.clip.embed_images_grid(images)
        elif images is not None or embeddings is None:
            found = "neither" if images is None else "both"
            raise InputError(f"conditions: expected images or embeddings, found {found}")
        return self._evaluate(x, t, grids={IMAGE: self._dropped(embeddings, self.cond_drop_prob)})


class UpsamplePointDiffusionTransformer(PointDiffusionTransformer):
    """Conditioned on coarse points.

    Args:
        cond_input_channels: of a coarse point; None: as many as of a point.
        cond_ctx: number of coarse points; not used, any number will do.
        channel_scales, channel_biases: what brings coarse points from world units to about [-1, 1].
    """

    def __init__(
        self,
        *,
        device: torch.device | str,
        dtype: torch.dtype,
        cond_input_channels: int | None = None,
        cond_ctx: int = 1024,
        n_ctx: int = 3072,
        channel_scales: Sequence[float] | None = None,
        channel_biases: Sequence[float] | None = None,
        input_channels: int = 3,
        **kwargs: Any,
    ) -> None:
        channels = cond_input_channels or input_channels
        given: dict[str, Sequence[float] | None] = {"channel_scales": channel_scales, "channel_biases": channel_biases}
        absent = {"channel_scales": (1.0,) * channels, "channel_biases": (0.0,) * channels}
        scaling: dict[str, Any] = {name: absent[name] if values is None else values for name, values in given.items()}
        super().__init__(
            device=device, dtype=dtype, n_ctx=n_ctx, input_channels=input_channels, low_res=True, **scaling, **kwargs
        )
        self.cond_input_channels = channels
        for name, values in given.items():
            if values is None:  # the release's checkpoints have no such key then
                self.network.register_buffer(name, getattr(self.network, name), persistent=False)

    # The release's call needs more than its parent's.
    def forward(self, x: Tensor, t: Tensor, *, low_res: Tensor) -> Tensor:  # type: ignore[override]
        """Points (N, C, n_ctx) at times (N,) and coarse points (N, C'', K) in world units -> (N, C', n_ctx)."""
        return self._evaluate(x, t, low_res=low_res)


class CLIPImageGridUpsamplePointDiffusionTransformer(UpsamplePointDiffusionTransformer):
    """Conditioned on coarse points and, if there is one, on a picture's CLIP grid."""

    def __init__(
        self,
        *,
        device: torch.device | str,
        dtype: torch.dtype,
        n_ctx: int = 3072,
        cond_drop_prob: float = 0.0,
        frozen_clip: bool = True,
        cache_dir: str | None = None,
        **kwargs: Any,
    ) -> None:
        clip = _clip(device, frozen_clip, cache_dir)
        grids = ((IMAGE, clip.grid_feature_dim),)
        super().__init__(device=device, dtype=dtype, n_ctx=n_ctx, grids=grids, **kwargs)
        self.clip = clip
        self.cond_drop_prob = cond_drop_prob

    def cached_model_kwargs(self, batch_size: int, model_kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """images -> their grids, to be made once for all the steps; without any, grids of zeros."""
        low_res = model_kwargs["low_res"]
        if "embeddings" in model_kwargs:
            return {"embeddings": model_kwargs["embeddings"], "low_res": low_res}
        if "images" in model_kwargs:
            return {"embeddings": self.clip.embed_images_grid(model_kwargs["images"]), "low_res": low_res}
        return {"embeddings": self._no_picture(batch_size), "low_res": low_res}

    def core_conditions(self, **cached_model_kwargs: Any) -> dict[str, Any]:
        return {"grids": {IMAGE: cached_model_kwargs["embeddings"]}, "low_res": cached_model_kwargs["low_res"]}

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
        if images is not None:
            embeddings = self.clip.embed_images_grid(images)
        if embeddings is None:
            embeddings = self._no_picture(len(x))
        grids = {IMAGE: self._dropped(embeddings, self.cond_drop_prob)}
        return self._evaluate(x, t, grids=grids, low_res=low_res)

    def _no_picture(self, n_samples: int) -> Tensor:
        size = (n_samples, self.clip.grid_feature_dim, self.clip.grid_size**2)
        return torch.zeros(size, device=next(self.parameters()).device)


def _clip(device: torch.device | str, frozen: bool, cache_dir: str | None) -> FrozenImageCLIP:
    if not frozen:
        raise InputError("frozen_clip: expected True, for CLIP is not trained here, found False")
    return FrozenImageCLIP(device, cache_dir=cache_dir)
