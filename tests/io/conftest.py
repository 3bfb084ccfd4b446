"""Shapes to write and read."""

from __future__ import annotations

import numpy as np
import pytest

from enpointe.geometry import Mesh, PointCloud


@pytest.fixture
def cloud() -> PointCloud:
    rng = np.random.default_rng(0)
    return PointCloud(rng.normal(size=(50, 3)), rng.random((50, 3)), {"material": np.arange(50)})


@pytest.fixture
def mesh() -> Mesh:
    """A tetrahedron of volume 1."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]], dtype=float)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    return Mesh(vertices, faces, np.array([[1, 0, 0], [0, 0.05, 0.1], [0.5, 0.5, 0.5], [0.2, 0.9, 1]]))
