"""What a released model draws from, as its networks take it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor

from enpointe.checkpoints.adapters import IMAGE
from enpointe.encoders.images import read_image
from enpointe.nn.point_transformer import PointTransformer
from enpointe.pipelines.base import ImageInput

GRID = 256
"""Tokens of an image: 16 x 16."""


class Encoder(Protocol):
    """What is needed of `Clip`."""

    def texts(self, prompts: Sequence[str]) -> Tensor: ...
    def images(self, images: Sequence[Image.Image]) -> Tensor: ...
    def grids(self, images: Sequence[Image.Image]) -> Tensor: ...


@dataclass(frozen=True)
class Conditions:
    """The conditions of many samples; what several of them share is held once.

    Attributes:
        rows: of each sample, its row in the tensors below.
        vectors: (U, width) of texts or images; None where the base network takes none.
        grids: (U, channels, GRID) of images; None where there are none.
    """

    rows: tuple[int, ...]
    vectors: Tensor | None = None
    grids: Tensor | None = None

    def base(self, part: slice) -> dict[str, Any]:
        """Keyword arguments of a base network for these samples."""
        if self.vectors is not None:
            return {"vector": self.vectors[list(self.rows[part])]}
        return {} if self.grids is None else {"grids": {IMAGE: self.grids[list(self.rows[part])]}}

    def upsampler(self, part: slice, network: PointTransformer) -> dict[str, Any]:
        """Keyword arguments of the upsampler; zeros for an image that there is not, as it was trained with."""
        rows = list(self.rows[part])
        if self.grids is not None:
            return {"grids": {IMAGE: self.grids[rows]}}
        embed = network.grid_embed[IMAGE]
        assert isinstance(embed, torch.nn.Sequential)
        projection = embed[1]
        assert isinstance(projection, torch.nn.Linear)
        return {"grids": {IMAGE: projection.weight.new_zeros(len(rows), projection.in_features, GRID)}}


def of_nothing(n: int) -> Conditions:
    """The conditions of n samples of an unconditional model."""
    return Conditions(tuple(range(n)))


def of_texts(texts: Sequence[str], encoder: Encoder) -> Conditions:
    """The conditions of texts, each encoded once."""
    row = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    return Conditions(tuple(row[text] for text in texts), vectors=encoder.texts(list(row)))


def check_images(images: Sequence[ImageInput]) -> None:
    """InputError where a file is no image that can be read; only one is in memory at a time, they may be large."""
    for image in _distinct(images).values():
        opened(image)


def of_images(images: Sequence[ImageInput], encoder: Encoder, *, vector: bool, grid: bool) -> Conditions:
    """The conditions of images, each encoded once; as in `check_images`, one is in memory at a time.

    Args:
        vector: whether a network takes an image's vector.
        grid: whether a network takes its grid.

    Raises:
        InputError: a file is no image that can be read.
    """
    unique = _distinct(images)
    row = {key: i for i, key in enumerate(unique)}
    encoded = [
        (encoder.images([image]) if vector else None, encoder.grids([image]) if grid else None)
        for image in map(opened, unique.values())
    ]
    vectors, grids = ([part for part in parts if part is not None] for parts in zip(*encoded, strict=True))
    return Conditions(
        tuple(row[_key(image)] for image in images),
        vectors=torch.cat(vectors) if vectors else None,
        grids=torch.cat(grids) if grids else None,
    )


def _distinct(images: Sequence[ImageInput]) -> dict[int | str, ImageInput]:
    return {_key(image): image for image in images}


def _key(image: ImageInput) -> int | str:
    return id(image) if isinstance(image, Image.Image) else str(image)


def opened(image: ImageInput) -> Image.Image:
    """The image itself; InputError where its file is none."""
    return image if isinstance(image, Image.Image) else read_image(image)
