"""The release's marching cubes: its vertices, open borders, and fields of one sign."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor

from enpointe.core.errors import MeshError
from enpointe.geometry.mesh import Mesh
from enpointe.meshing.open_surface import open_surface
from enpointe.meshing.sparse_grid import sample_grid

Golden = Callable[[str], tuple[dict[str, Tensor], dict[str, Any]]]


def ball(radius: float, shift: float = 0.0) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    return lambda points: (radius - np.linalg.norm(points - np.float32(shift), axis=1)).astype(np.float32)


@pytest.mark.golden
def test_recorded_ellipsoid(golden: Golden) -> None:
    tensors, about = golden("mesh_ellipsoid")

    def field(points: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.float32(0.3) - np.linalg.norm(points * np.array([1, 1.3, 0.8], np.float32), axis=1)

    found = open_surface(sample_grid(field, grid_size=about["grid_size"], method="dense"))
    np.testing.assert_allclose(found.vertices, tensors["verts"].numpy(), atol=1e-5)
    np.testing.assert_array_equal(found.faces, tensors["faces"].numpy())
    np.testing.assert_allclose(found.normals, tensors["normals"].numpy(), atol=1e-3)


def test_a_ball_faces_outward_and_one_cut_by_the_box_is_open() -> None:
    whole, cut = (open_surface(sample_grid(ball(0.3, shift), grid_size=24, method="dense")) for shift in (0.0, 0.3))
    mesh = Mesh(whole.vertices, whole.faces)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 0.3**3, rel=0.02)
    assert not Mesh(cut.vertices, cut.faces).is_watertight


@pytest.mark.parametrize("sign", [1, -1])
def test_a_field_of_one_sign_is_recentered_if_asked(sign: int) -> None:
    samples = sample_grid(lambda points: sign * (1 + points[:, 0]), grid_size=16, method="dense")
    with pytest.raises(MeshError, match="expected a field with a surface"):
        open_surface(samples)
    np.testing.assert_allclose(open_surface(samples, recenter=True).vertices[:, 0], 0, atol=1e-5)
    with pytest.raises(MeshError, match="expected a field with a surface"):
        open_surface(sample_grid(lambda points: np.ones(len(points)), grid_size=8, method="dense"), recenter=True)
