"""CLIP as the release's networks hold it, over enpointe.encoders.clip; loaded when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from enpointe.checkpoints.released import CLIP_CHANNELS, CLIP_WIDTH
from enpointe.core.errors import InputError
from enpointe.encoders.images import clip_pixels
from point_e._originals import Originals

ImageType = NDArray[Any] | Tensor | Image.Image

LARGE, BASE = "ViT-L/14", "ViT-B/32"
SIZES = {LARGE: (CLIP_WIDTH, 16, CLIP_CHANNELS), BASE: (512, 7, 768)}
"""Name -> width of vectors, tokens along a side of the grid, channels of the grid."""


class ImageCLIP(nn.Module):
    """Texts and images -> vectors and grids. Building one loads nothing, and it holds no parameters to train.

    Args:
        device: where its outputs are wanted.
        dtype: only float32 or None.
        ensure_used_params: not used, for there are none.
        clip_name: "ViT-L/14" or "ViT-B/32".
        cache_dir: not used; CLIP's files lie where enpointe.encoders.clip finds them.

    Raises:
        InputError: another dtype or name.
    """

    def __init__(
        self,
        device: torch.device | str,
        dtype: torch.dtype | None = torch.float32,
        ensure_used_params: bool = True,
        clip_name: str = LARGE,
        cache_dir: str | None = None,
    ) -> None:
        super().__init__()
        _ = cache_dir
        if dtype not in (None, torch.float32):
            raise InputError(f"dtype of CLIP: expected torch.float32, found {dtype}")
        if clip_name not in SIZES:
            raise InputError(f"clip_name: expected one of {', '.join(SIZES)}, found {clip_name!r}")
        self.device = torch.device(device)
        self.ensure_used_params = ensure_used_params
        self.clip_name = clip_name

    @property
    def feature_dim(self) -> int:
        return SIZES[self.clip_name][0]

    @property
    def grid_size(self) -> int:
        return SIZES[self.clip_name][1]

    @property
    def grid_feature_dim(self) -> int:
        return SIZES[self.clip_name][2]

    @property
    def clip_model(self) -> Any:
        """The network itself, transformers' CLIPModel; loads it."""
        return self._clip().model

    def forward(
        self,
        batch_size: int,
        images: Iterable[ImageType | None] | None = None,
        texts: Iterable[str | None] | None = None,
        embeddings: Iterable[Tensor | None] | None = None,
    ) -> Tensor:
        """One vector for each of a batch, (N, feature_dim): of its image, text or embedding; zeros without any.

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
        """Images -> vectors of unit length (N, feature_dim)."""
        return self._clip().images([_image_to_pil(x) for x in xs])

    def embed_text(self, prompts: Iterable[str]) -> Tensor:
        """Texts -> vectors of unit length (N, feature_dim)."""
        return self._clip().texts(list(prompts))

    def embed_images_grid(self, xs: Iterable[ImageType | None]) -> Tensor:
        """Images -> latent grids (N, grid_feature_dim, grid_size squared)."""
        return self._clip().grids([_image_to_pil(x) for x in xs])

    def images_to_tensor(self, xs: Iterable[ImageType | None]) -> Tensor:
        """Images as the network takes them, (N, 3, 224, 224)."""
        return torch.stack([self.preprocess(_image_to_pil(x)) for x in xs]).to(self.device)

    def preprocess(self, image: Image.Image) -> Tensor:
        """One image as the network takes it, (3, 224, 224), on the CPU."""
        return clip_pixels(image)

    def _clip(self) -> Any:
        from enpointe.encoders import clip

        return clip.clip(self.device) if self.clip_name == LARGE else clip.clip(self.device, clip.BASE)


class FrozenImageCLIP:
    """The same without gradients, and no module, so that a network's state dict and parameters know nothing of it."""

    def __init__(self, device: torch.device | str, **kwargs: Any) -> None:
        self.model = ImageCLIP(device, dtype=None, ensure_used_params=False, **kwargs)

    @property
    def feature_dim(self) -> int:
        return self.model.feature_dim

    @property
    def grid_size(self) -> int:
        return self.model.grid_size

    @property
    def grid_feature_dim(self) -> int:
        return self.model.grid_feature_dim

    def __call__(
        self,
        batch_size: int,
        images: Iterable[ImageType | None] | None = None,
        texts: Iterable[str | None] | None = None,
        embeddings: Iterable[Tensor | None] | None = None,
    ) -> Tensor:
        """As `ImageCLIP`; gradients pass to embeddings that are given."""
        vectors: Tensor = self.model(batch_size=batch_size, images=images, texts=texts, embeddings=embeddings)
        return vectors

    @torch.no_grad()
    def embed_images(self, xs: Iterable[ImageType | None]) -> Tensor:
        return self.model.embed_images(xs)

    @torch.no_grad()
    def embed_text(self, prompts: Iterable[str]) -> Tensor:
        return self.model.embed_text(prompts)

    @torch.no_grad()
    def embed_images_grid(self, xs: Iterable[ImageType | None]) -> Tensor:
        return self.model.embed_images_grid(xs)


def _image_to_pil(obj: ImageType | None) -> Image.Image:
    """An image from an array (h, w, 3) of 0 to 255; a small black one in place of none."""
    if isinstance(obj, Image.Image):
        return obj
    if isinstance(obj, Tensor):
        obj = obj.detach().cpu().numpy()
    return Image.fromarray(np.zeros((64, 64, 3), np.uint8) if obj is None else obj.astype(np.uint8))


ORIGINALS = Originals(globals())
