"""The embedded picture encoder: whose numbers an image's are, sizes, bad images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from enpointe.checkpoints.embedded import image_encoder
from enpointe.core.errors import InputError
from enpointe.encoders.efficientnet import ImageEncoder
from enpointe.nn.efficientnet import CHANNELS, STATISTICS


@pytest.fixture(scope="module")
def encoder() -> ImageEncoder:
    return image_encoder(torch.device("cpu"))


def disc(colour: tuple[int, int, int], height: int = 224, width: int = 224) -> NDArray[np.uint8]:
    y, x = np.indices((height, width))
    inside = (y - height / 2) ** 2 + (x - width / 2) ** 2 < (min(height, width) / 3) ** 2
    return np.where(inside[..., None], np.array(colour), 255).astype(np.uint8)


RED, BLUE = disc((200, 30, 30)), disc((30, 30, 200))


def test_shapes_and_the_same_numbers_again(encoder: ImageEncoder) -> None:
    first, again = encoder.encode([RED, BLUE]), encoder.encode([RED, BLUE])
    assert first.pooled.shape == (2, CHANNELS)
    assert first.grid.shape == (2, CHANNELS, 7, 7)
    assert first.statistics.shape == (2, STATISTICS)
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one, other)
        assert one.dtype == torch.float32
    assert encoder is image_encoder(torch.device("cpu"))


def test_a_picture_s_numbers_are_its_own(encoder: ImageEncoder) -> None:
    """Also in a second batch, behind sixteen others."""
    alone = encoder.encode([RED])
    among = encoder.encode([BLUE] * 17 + [RED])
    torch.testing.assert_close(among.pooled[17], alone.pooled[0], rtol=1e-3, atol=1e-4)
    assert not torch.allclose(among.pooled[0], alone.pooled[0], atol=1e-2)


def test_other_sizes_are_brought_to_the_middle_square(encoder: ImageEncoder) -> None:
    wide = np.full((300, 500, 3), 255, np.uint8)
    wide[:, 100:400] = disc((200, 30, 30), 300, 300)
    by_hand = np.array(Image.fromarray(wide).resize((373, 224), Image.Resampling.BICUBIC).crop((74, 0, 298, 224)))
    torch.testing.assert_close(encoder.encode([wide]).pooled, encoder.encode([by_hand]).pooled)
    beyond = wide.copy()
    beyond[:, :60] = 0
    torch.testing.assert_close(encoder.encode([beyond]).pooled, encoder.encode([wide]).pooled)
    assert encoder.encode([wide[::-1, :, ::-1], wide[:8, :8]]).grid.shape == (2, CHANNELS, 7, 7)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "at least one"),
        ([RED[..., 0]], "image 0"),
        ([RED, RED.astype(np.float32)], "image 1"),
        ([RED, RED[..., :1]], "image 1"),
        ([RED[:0]], "image 0"),
        ([np.zeros((1, 200, 3), np.uint8)], "ratio"),
    ],
)
def test_what_is_no_image_is_an_error(encoder: ImageEncoder, images: list[NDArray[np.uint8]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        encoder.encode(images)
