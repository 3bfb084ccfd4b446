"""CLIP as the release's networks hold it, over enpointe.encoders.clip; loaded when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from enpointe.checkpoints.released import CLIP_CHANNELS, CLIP_WIDTH
from enpointe.core.errors import InputError

ImageType = NDArray[Any] | Tensor | Image.Image


class ImageCLIP:
    """Texts and pictures -> ViT-L/14's vectors and grids. Building one loads nothing.

    Args:
        device: where its outputs are wanted.
        dtype: only float32 or None.
        ensure_used_params: not used: enpointe's CLIP has no gradients.
        clip_name: only "ViT-L/14".
        cache_dir: not used; CLIP's files lie where enpointe.encoders.clip finds them.
    """

    feature_dim = CLIP_WIDTH
    grid_size = 16
    grid_feature_dim = CLIP_CHANNELS

    def __init__(
        self,
        device: torch.device | str,
        dtype: torch.dtype | None = torch.float32,
        ensure_used_params: bool = True,
        clip_name: str = "ViT-L/14",
        cache_dir: str | None = None,
    ) -> None:
        _ = ensure_used_params
        if dtype not in (None, torch.float32):
            raise InputError(f"dtype of CLIP: expected torch.float32, found {dtype}")
        if clip_name != "ViT-L/14":
            raise InputError(f"clip_name: expected 'ViT-L/14', found {clip_name!r}")
        self.device = torch.device(device)

    def __call__(
        self,
        batch_size: int,
        images: Iterable[ImageType | None] | None = None,
        texts: Iterable[str | None] | None = None,
        embeddings: Iterable[Tensor | None] | None = None,
    ) -> Tensor:
        """One vector for each of a batch, (N, feature_dim): of its picture, text or embedding; zeros without any.

        Raises:
            InputError: another number than batch_size, or more than one condition for a sample.
        """
        given: dict[str, list[Any]] = {}
        for name, values in (("images", images), ("texts", texts), ("embeddings", embeddings)):
            given[name] = [None] * batch_size if values is None else list(values)
            if len(given[name]) != batch_size:
                raise InputError(f"{name}: expected {batch_size}, one for each sample, found {len(given[name])}")
        if any(sum(value is not None for value in sample) > 1 for sample in zip(*given.values(), strict=True)):
            raise InputError("conditions: expected an image, a text or an embedding for a sample, found several")
        result = torch.zeros(batch_size, self.feature_dim, device=self.device)
        embed: dict[str, Callable[[Any], Tensor]] = {
            "images": self.embed_images,
            "texts": self.embed_text,
            "embeddings": torch.stack,
        }
        for name, all_values in given.items():
            index = [i for i, value in enumerate(all_values) if value is not None]
            if index:
                result[index] = embed[name]([all_values[i] for i in index]).to(result)
        return result

    def embed_images(self, xs: Iterable[ImageType | None]) -> Tensor:
        """Pictures -> vectors of unit length (N, feature_dim)."""
        return self._clip().pictures([_picture(x) for x in xs])

    def embed_text(self, prompts: Iterable[str]) -> Tensor:
        """Texts -> vectors of unit length (N, feature_dim)."""
        return self._clip().texts(list(prompts))

    def embed_images_grid(self, xs: Iterable[ImageType | None]) -> Tensor:
        """Pictures -> latent grids (N, grid_feature_dim, grid_size squared)."""
        return self._clip().grids([_picture(x) for x in xs])

    def _clip(self) -> Any:
        from enpointe.encoders.clip import clip

        return clip(self.device)


class FrozenImageCLIP(ImageCLIP):
    """The same: enpointe's CLIP is never trained."""

    def __init__(self, device: torch.device | str, **kwargs: Any) -> None:
        super().__init__(device, None, False, **kwargs)


def _picture(x: ImageType | None) -> Image.Image:
    """A picture from an array (h, w, 3) of 0 to 255; a small black one in place of none."""
    if isinstance(x, Image.Image):
        return x
    if isinstance(x, Tensor):
        x = x.detach().cpu().numpy()
    return Image.fromarray(np.zeros((64, 64, 3), np.uint8) if x is None else x.astype(np.uint8))
