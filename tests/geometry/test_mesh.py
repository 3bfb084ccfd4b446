"""Mesh: what it accepts; measures of solids in closed form."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from enpointe.core.errors import InputError
from enpointe.geometry import Mesh

CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
# Four corners of each side, counter-clockwise from outside: x low, x high, y low, y high, z low, z high.
SIDES = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
CUBE = np.array([face for a, b, c, d in SIDES for face in ((a, b, c), (a, c, d))])


@pytest.mark.parametrize(
    ("vertices", "faces", "colors", "message"),
    [
        (CORNERS[:, :2], CUBE, None, r"vertices: expected shape \(n, 3\), found \(8, 2\)"),
        (CORNERS * np.nan, CUBE, None, "vertices: expected finite numbers, found 24 of 24"),
        (CORNERS, CUBE[:0], None, "faces: expected at least one"),
        (CORNERS, CUBE.astype(float), None, "faces: expected integers"),
        (CORNERS, CUBE[:, :2], None, "faces: expected integers of shape"),
        (CORNERS, CUBE + 1, None, "faces: expected indices from 0 to 7, found 1 to 8"),
        (CORNERS, CUBE - 1, None, "faces: expected indices from 0 to 7, found -1 to 6"),
        (CORNERS, CUBE, CORNERS[1:], "colors: expected 8 rows"),
        (CORNERS, CUBE, CORNERS * 2, r"colors: expected values in \[0, 1\]"),
    ],
)
def test_what_is_no_mesh(vertices: Any, faces: Any, colors: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Mesh(vertices, faces, colors)


def test_a_box() -> None:
    box = Mesh(CORNERS * [2, 3, 4] + 1000, CUBE)
    assert box.is_watertight
    assert box.volume == pytest.approx(24, rel=1e-6)
    assert box.area == pytest.approx(2 * (6 + 8 + 12))
    outward = np.sign(CORNERS - 0.5)
    assert (np.sign(box.normals) == outward).all()
    np.testing.assert_allclose(np.linalg.norm(box.normals, axis=1), 1, rtol=1e-6)


def test_inside_out_is_negative() -> None:
    box = Mesh(CORNERS, CUBE[:, ::-1])
    assert box.is_watertight
    assert box.volume == pytest.approx(-1)


def test_what_is_not_watertight() -> None:
    assert not Mesh(CORNERS, CUBE[1:]).is_watertight  # a hole
    turned = CUBE.copy()
    turned[0] = turned[0, ::-1]
    assert not Mesh(CORNERS, turned).is_watertight  # one face turned
    assert not Mesh(CORNERS, np.concatenate([CUBE, CUBE])).is_watertight  # everything twice


def test_a_vertex_without_faces_has_no_normal() -> None:
    mesh = Mesh(CORNERS, CUBE[:1])
    used = np.isin(np.arange(8), CUBE[0])
    assert (mesh.normals[used] == [-1, 0, 0]).all()
    assert (mesh.normals[~used] == 0).all()


def test_a_mesh_says_what_it_is_in_one_line() -> None:
    assert repr(Mesh(CORNERS * [0.5, 2, 3] - 1, CUBE)) == (
        "Mesh(8 vertices, 12 faces, x -1..-0.5, y -1..1, z -1..2, without colors)"
    )
    assert repr(Mesh(CORNERS, CUBE, CORNERS)).endswith("z 0..1, with colors)")


def test_a_pickle_holds_no_more_than_the_mesh() -> None:
    mesh = Mesh(CORNERS, CUBE, CORNERS)
    before = pickle.dumps(mesh)
    assert len(mesh.normals) == 8
    assert pickle.dumps(mesh) == before
    again: Mesh = pickle.loads(before)  # noqa: S301 - our own
    assert np.array_equal(again.faces, mesh.faces)
    assert np.array_equal(again.normals, mesh.normals)
