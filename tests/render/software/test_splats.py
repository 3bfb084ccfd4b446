"""Points as discs: what is where, which way round, what hides what."""

from __future__ import annotations

import numpy as np
import pytest

from enpointe.render.software.splats import splat


def where(image: np.ndarray, channel: int) -> tuple[float, float]:
    """Mean row and column of the pixels in which this channel stands out."""
    value = image.astype(int)
    rows, columns = np.nonzero(value[:, :, channel] - np.delete(value, channel, axis=2).max(axis=2) > 40)
    return rows.mean(), columns.mean()


def test_splat_directions() -> None:
    """From the front (azimuth 0, the eye at -y): +x is right, +z is up; from azimuth 90 the eye is at +x, +y right."""
    points = np.array([[0.5, 0, 0], [0, 0, 0.5], [0, 0.5, 0]])
    front = splat(points, np.eye(3), azimuth=0, elevation=0, size=100, radius=3, span=1.25)
    assert where(front, 0) == pytest.approx((50, 90), abs=1)
    assert where(front, 1) == pytest.approx((10, 50), abs=1)
    assert where(front, 2) == pytest.approx((50, 50), abs=1)
    side = splat(points, np.eye(3), azimuth=90, elevation=0, size=100, radius=3, span=1.25)
    assert where(side, 2) == pytest.approx((50, 90), abs=1)
    assert where(side, 0) == pytest.approx((50, 50), abs=1)


def test_nearer_points_hide_farther_ones() -> None:
    points, colors = np.array([[0, -0.4, 0], [0, 0.4, 0]]), np.array([[1, 0, 0], [0, 0, 1]])
    for azimuth, seen, hidden in ((0, 0, 2), (180, 2, 0)):
        image = splat(points, colors, azimuth=azimuth, elevation=0, size=65, radius=5)
        painted = image[(image < 255).any(axis=2)]
        assert (painted[:, seen] > 100).all()
        assert (painted[:, hidden] == 0).all()


def test_points_outside_the_image_are_left_out() -> None:
    image = splat(np.array([[10.0, 0, 0], [0, 0, -10]]), np.zeros((2, 3)), size=32)
    assert (image == 255).all()
