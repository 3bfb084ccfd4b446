"""The contact sheet: where each image lies, where its caption."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from enpointe.core.errors import InputError
from enpointe.render.contact_sheet import contact_sheet


def tiles(n: int, height: int = 6, width: int = 10) -> list[np.ndarray]:
    return [np.full((height, width, 3), 10 * (i + 1), np.uint8) for i in range(n)]


def test_images_fill_rows_and_the_last_one_ends_in_white() -> None:
    sheet = contact_sheet(tiles(5), columns=3)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (12, 30, 3)
    assert sheet[::6, ::10, 0].tolist() == [[10, 20, 30], [40, 50, 255]]
    assert (np.unique(sheet[6:, 10:20]) == [50]).all()
    assert contact_sheet(tiles(2), columns=4).shape == (6, 40, 3)


@pytest.mark.parametrize("align", ["left", "center"])
def test_captions_stand_below_their_images(align: Literal["left", "center"]) -> None:
    images = tiles(3, 20, 80)
    blank = contact_sheet(images, ["", "", ""], columns=2, caption_height=16)
    assert blank.shape == (72, 160, 3)
    assert (blank[20:36] == 255).all()
    sheet = contact_sheet(images, ["", "a mug", ""], columns=2, caption_height=16, align=align)
    rows, columns = np.nonzero((sheet != blank).any(axis=2))
    assert 20 <= rows.min() <= rows.max() < 36
    assert 80 <= columns.min() <= columns.max() < 160
    if align == "center":
        assert columns.min() + columns.max() == pytest.approx(80 + 159, abs=3)
    else:
        assert columns.min() < 90


def test_a_larger_font_takes_more_room() -> None:
    small, large = (
        contact_sheet(tiles(1, 8, 200), ["a mug"], columns=1, caption_height=40, font_size=size)[8:] for size in (8, 24)
    )
    assert 2 * (small < 128).sum() < (large < 128).sum()


def test_images_of_different_sizes_are_refused() -> None:
    for images in ([], [*tiles(1), *tiles(1, 7)]):
        with pytest.raises(InputError, match="images: expected some of one size"):
            contact_sheet(images, columns=2)
    with pytest.raises(InputError, match="captions: expected 2, found 1"):
        contact_sheet(tiles(2), ["one"], columns=2)
