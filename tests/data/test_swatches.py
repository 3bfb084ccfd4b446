"""Swatches: few, near to the points' colors, the same for the same points; and what is painted together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from enpointe.data.procedural.colors import COLORS
from enpointe.data.swatches import MOST, SPREAD, dominant, oklab, repainted, swatches


def colors_of(*words: str) -> NDArray[np.float32]:
    return np.array([COLORS[word] for word in words], np.float32)


def test_oklab_of_known_colours() -> None:
    """Values of Ottosson's page, and grays without chroma."""
    lab = oklab(np.array([[1, 1, 1], [0, 0, 0], [1, 0, 0], [0, 0, 1]], np.float32))
    np.testing.assert_allclose(lab[0], (1, 0, 0), atol=1e-3)
    np.testing.assert_allclose(lab[1], (0, 0, 0), atol=1e-6)
    np.testing.assert_allclose(lab[2], (0.628, 0.225, 0.126), atol=1e-3)
    np.testing.assert_allclose(lab[3], (0.452, -0.032, -0.312), atol=1e-3)


def test_a_few_plain_colours_are_found_exactly_the_commonest_first() -> None:
    palette = colors_of("red", "blue", "white", "black")
    number = np.random.default_rng(0).permutation(np.repeat(np.arange(4), (40, 300, 1500, 20)))
    slot, found = swatches(palette[number])
    np.testing.assert_allclose(found, palette[[2, 1, 0, 3]], atol=1e-6)
    assert np.array_equal(np.array([2, 1, 0, 3])[slot], number)


def test_one_colour_is_one_swatch() -> None:
    slot, found = swatches(np.full((50, 3), 0.3, np.float32))
    assert slot.tolist() == [0] * 50
    np.testing.assert_allclose(found, [[0.3] * 3], atol=1e-6)
    assert len(swatches(np.full((1, 3), 0.3, np.float32))[1]) == 1


def test_a_texture_keeps_its_colours_and_its_small_details() -> None:
    """Noisy wood with a red label of a hundredth of the points; one mean color would be 0.05 and more away."""
    rng = np.random.default_rng(0)
    colors = (colors_of("wooden") * rng.uniform(0.5, 1.2, (2000, 1)) + rng.normal(0, 0.03, (2000, 3))).clip(0, 1)
    colors[:20] = colors_of("red")
    colors = rng.permutation(colors).astype(np.float32)
    slot, found = swatches(colors)
    error = np.linalg.norm(oklab(colors) - oklab(found)[slot], axis=1)
    assert 3 < len(found) <= MOST
    assert error.mean() < 1.5 * SPREAD
    assert np.abs(found - colors_of("red")).max(axis=1).min() < 0.02


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 400), kinds=st.integers(1, 300))
def test_any_colours(seed: int, count: int, kinds: int) -> None:
    rng = np.random.default_rng(seed)
    colors = rng.random((kinds, 3), np.float32)[rng.integers(kinds, size=count)]
    slot, found = swatches(colors)
    again, same = swatches(colors.copy())
    assert slot.dtype == np.uint8
    assert np.array_equal(slot, again)
    assert np.array_equal(found, same)
    assert len(found) <= MOST
    counts = np.bincount(slot, minlength=len(found))
    assert (counts > 0).all()
    assert (np.diff(counts) <= 0).all()
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize(
    ("words", "share", "expected"),
    [
        (("blue", "dark blue", "red", "black"), (0.3, 0.3, 0.25, 0.15), (0, 1)),
        (("red", "light blue", "blue"), (0.4, 0.3, 0.3), (1, 2)),
        (("white", "silver", "black"), (0.4, 0.3, 0.3), (0, 1)),
        (("grey", "dark grey", "green"), (0.3, 0.1, 0.6), (2,)),
        (("wooden", "brown"), (0.5, 0.5), (0, 1)),
    ],
)  # fmt: skip
def test_what_is_painted_together(words: tuple[str, ...], share: tuple[float, ...], expected: tuple[int, ...]) -> None:
    assert dominant(colors_of(*words), np.array(share)) == expected


def test_a_paint_keeps_what_is_light_and_what_is_dark() -> None:
    palette, share = colors_of("blue", "light blue", "black"), np.array([0.5, 0.3, 0.2])
    painted = repainted(palette, (0, 1), share, np.array(COLORS["green"]))
    assert np.array_equal(painted[2], palette[2])
    lightness, chroma = oklab(painted)[:, 0], oklab(painted)[:, 1:]
    assert lightness[0] < lightness[1]
    green = oklab(colors_of("green"))[0, 1:]
    for own in chroma[:2]:
        assert own @ green / np.linalg.norm(own) / np.linalg.norm(green) > 0.97
    alone = repainted(palette, (0,), share, np.array(COLORS["green"]))
    np.testing.assert_allclose(alone[0], COLORS["green"], atol=1e-5)
    from_black = repainted(np.zeros((1, 3), np.float32), (0,), np.ones(1), np.array(COLORS["yellow"]))
    np.testing.assert_allclose(from_black[0], COLORS["yellow"], atol=1e-5)  # not black times anything
