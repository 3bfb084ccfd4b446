"""The few colors that a cloud is made of, found from its points: what takes the place of materials and textures.

Differences of colors are distances in Oklab (https://bottosson.github.io/posts/oklab), in which black and white are
1 apart and 0.02 is about the least that one sees.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enpointe.geometry.colors import to_linear, to_srgb

MOST = 24
"""Swatches of one cloud."""
SPREAD = 0.025
"""Root mean square difference of a swatch's points from it, above which it is split as long as there may be more."""
_REFINED = 6
"""Rounds in which points go to their nearest swatch and swatches to the middle of their points."""
GRAY = 0.035
"""Colors of less chroma have no hue."""
SAME_HUE, SAME_GRAY = np.deg2rad(30), 0.25
"""How far apart hues, and lightnesses of what has no hue, still are of one kind."""
_LIT = (0.45, 1.8)
"""Least and most light of a repainted swatch, in terms of its paint's."""
_DARKEST = 0.02
"""Light below which one black is not told from another."""

_TO_LMS = np.array([[0.4122214708, 0.5363325363, 0.0514459929],
                    [0.2119034982, 0.6806995451, 0.1073969566],
                    [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
_TO_LAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468],
                    [1.9779984951, -2.4285922050, 0.4505937099],
                    [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip
_LIGHT = np.array([0.2126, 0.7152, 0.0722])
"""Share of a color's parts in its luminance."""


def oklab(srgb: NDArray[np.floating]) -> NDArray[np.float64]:
    """Lightness from 0 to 1, and two coordinates of hue and chroma, (n, 3), of sRGB colors (n, 3) in [0, 1]."""
    # Not matrix products, which start threads: see `visibility._project`.
    lms = np.einsum("nc,kc->nk", to_linear(srgb).astype(np.float64), _TO_LMS)
    return np.einsum("nk,dk->nd", np.cbrt(lms), _TO_LAB)


def swatches(colors: NDArray[np.float32], most: int = MOST) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The swatch (n,) of each of n >= 1 points, and the sRGB colors (m, 3) of m <= most swatches, the commonest first.

    Swatches are split, the one with the most deviation first, until none deviates by more than `SPREAD`. The same
    colors in the same order give the same swatches.
    """
    lab = oklab(colors)
    label = np.zeros(len(lab), np.int64)
    error = [_deviation(lab)]
    while len(error) < most:
        counts = np.bincount(label, minlength=len(error))
        wide = np.array(error) > counts * SPREAD**2
        if not wide.any():
            break
        widest = int(np.where(wide, error, -1).argmax())
        members = np.flatnonzero(label == widest)
        apart = _halves(lab[members])
        label[members[apart]] = len(error)
        error[widest] = _deviation(lab[members[~apart]])
        error.append(_deviation(lab[members[apart]]))
    for _ in range(_REFINED):
        middles = _means(lab, label)
        label = np.unique(_nearest(lab, middles), return_inverse=True)[1]
    counts = np.bincount(label)
    order = np.argsort(-counts, kind="stable")
    rank = np.argsort(order, kind="stable")
    return rank[label].astype(np.uint8), _means(colors, label)[order].astype(np.float32)


def dominant(palette: NDArray[np.float32], share: NDArray[np.floating]) -> tuple[int, ...]:
    """The swatches of one hue, light and dark, that together cover most of the points.

    Args:
        palette: (m, 3) sRGB.
        share: (m,) of the points that each covers.

    Returns:
        their numbers, ascending.
    """
    light, *across = oklab(palette).T
    chroma, hue = np.hypot(*across), np.arctan2(across[1], across[0])
    gray = chroma < GRAY
    turn = np.abs(np.angle(np.exp(1j * (hue[:, None] - hue))))
    alike = np.where(gray, np.abs(light[:, None] - light) < SAME_GRAY, turn < SAME_HUE) & (gray[:, None] == gray)
    return tuple(np.flatnonzero(alike[int((alike * share).sum(axis=1).argmax())]).tolist())


def repainted(
    palette: NDArray[np.float32], chosen: tuple[int, ...], share: NDArray[np.floating], paint: NDArray[np.floating]
) -> NDArray[np.float32]:
    """A palette (m, 3) whose chosen swatches have the color `paint` (3,), darker and lighter as they were.

    `share` (m,) of the points weighs what their middle is.
    """
    at = list(chosen)
    colors = palette.copy()
    light = (to_linear(palette[at]) * _LIGHT).sum(axis=1)
    middle = float(np.average(light, weights=share[at]))
    colors[at] = to_srgb(to_linear(paint) * ((light + _DARKEST) / (middle + _DARKEST)).clip(*_LIT)[:, None])
    return colors


def _halves(lab: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of n points, not all alike, lie beyond the middle along their widest direction; then as 2-means has it."""
    centered = lab - lab.mean(axis=0)
    _, axes = np.linalg.eigh(np.einsum("ni,nj->ij", centered, centered))
    along = np.einsum("nd,d->n", centered, axes[:, -1])
    apart = along > 0 if (along > 0).any() else along >= along.max()
    for _ in range(3):
        middles = np.stack([lab[~apart].mean(axis=0), lab[apart].mean(axis=0)])
        again = _nearest(lab, middles) == 1
        if again.all() or not again.any():
            break
        apart = again
    return apart


def _nearest(lab: NDArray[np.float64], middles: NDArray[np.float64]) -> NDArray[np.int64]:
    return ((lab[:, None] - middles) ** 2).sum(axis=2).argmin(axis=1)


def _means(values: NDArray[np.floating], label: NDArray[np.int64]) -> NDArray[np.float64]:
    total = np.bincount(label)
    return np.stack([np.bincount(label, values[:, c]) / total for c in range(values.shape[1])], axis=1)


def _deviation(lab: NDArray[np.float64]) -> float:
    """Sum of squared differences from the mean."""
    return float(((lab - lab.mean(axis=0)) ** 2).sum())
