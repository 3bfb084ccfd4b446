"""The exact shapes that meshes are timed on."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import mesh_speed


@pytest.mark.parametrize("shape", mesh_speed.SHAPES)
def test_shapes_are_signed_distances(shape: str) -> None:
    points = np.random.default_rng(0).uniform(-0.51, 0.51, (4000, 3)).astype(np.float32)
    field, step = mesh_speed.SHAPES[shape], 1e-3
    values = field(points)
    assert (values > 0).any()
    assert (values < 0).any()
    slopes = [
        (field(points + step * axis) - field(points - step * axis)) / (2 * step) for axis in np.eye(3, dtype=np.float32)
    ]
    slope = np.linalg.norm(slopes, axis=0)
    assert slope.max() < 1.001
    assert np.median(slope) == pytest.approx(1, abs=1e-3)  # less only where two sides are equally near
