"""Meshes whose closedness, pieces, crossings and normals are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray
from scipy.optimize import linprog

from enpointe.core.errors import InputError
from enpointe.evaluation.measures import mesh_metrics
from enpointe.evaluation.measures.mesh_metrics import (
    component_count,
    is_watertight,
    mesh_quality,
    normal_consistency,
    sample_surface,
    self_intersection,
)
from enpointe.geometry.mesh import Mesh

Array = NDArray[Any]


def of(shape: Any) -> Mesh:
    return Mesh(shape.vertices, shape.faces)


def box(*shift: float) -> Mesh:
    return of(trimesh.creation.box().apply_translation(shift or (0, 0, 0)))


def sphere(radius: float = 1.0, subdivisions: int = 3) -> Mesh:
    return of(trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius))


def both(a: Mesh, b: Mesh) -> Mesh:
    return Mesh(np.concatenate([a.vertices, b.vertices]), np.concatenate([a.faces, b.faces + len(a.vertices)]))


def unwelded(mesh: Mesh) -> Mesh:
    """Three vertices of its own for each face."""
    return Mesh(mesh.vertices[mesh.faces].reshape(-1, 3), np.arange(mesh.faces.size).reshape(-1, 3))


def test_a_sphere_is_in_order() -> None:
    assert mesh_quality(sphere()) == mesh_metrics.MeshQuality(True, 1, mesh_metrics.SelfIntersection(0.0, 1280))


def test_seams_are_no_holes() -> None:
    mesh = unwelded(box())
    assert not mesh.is_watertight
    assert is_watertight(mesh)
    assert component_count(mesh) == 1
    holed = Mesh(mesh.vertices, mesh.faces[1:])
    assert not is_watertight(holed)
    assert component_count(holed) == 1


def test_welding_does_not_open_what_is_closed() -> None:
    """Two boxes that touch along an edge: four faces meet there, and both are closed."""
    mesh = both(box(), box(1, 1, 0))
    assert is_watertight(mesh)
    assert component_count(mesh) == 1


def test_zero_has_no_sign() -> None:
    mesh = unwelded(box(0.5, 0.5, 0.5))
    vertices = mesh.vertices.copy()
    vertices[::2] = np.where(vertices[::2] == 0, np.float32(-0.0), vertices[::2])
    assert is_watertight(Mesh(vertices, mesh.faces))


def test_faces_that_welding_closes_up_do_not_count() -> None:
    mesh = box()
    vertices = np.concatenate([mesh.vertices, mesh.vertices[:1]])
    sliver = Mesh(vertices, np.concatenate([mesh.faces, [[0, len(vertices) - 1, 1]]]))
    assert not sliver.is_watertight
    assert is_watertight(sliver)
    assert not is_watertight(Mesh(np.zeros((3, 3), np.float32), np.array([[0, 1, 2]])))


def test_components() -> None:
    assert component_count(both(box(), both(box(3, 0, 0), sphere(0.1)))) == 3
    assert component_count(Mesh(np.concatenate([box().vertices, [[9, 9, 9]]]), box().faces)) == 1  # a lone vertex


def test_normals_of_one_surface_agree() -> None:
    assert normal_consistency(sphere(), sphere()) > 0.99
    mesh = box()
    inside_out = Mesh(mesh.vertices, mesh.faces[:, ::-1])
    assert normal_consistency(mesh, inside_out) > 0.97  # creases; the sign is left out
    assert normal_consistency(mesh, mesh) == normal_consistency(mesh, mesh)


def test_normals_at_a_known_angle() -> None:
    """A square and the same square turned about its middle line: the cosine of the angle, wherever one looks."""
    square = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    angle = np.radians(60)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    found = normal_consistency(Mesh(square, faces), Mesh(square @ turn.T, faces), n=200)
    assert found == pytest.approx(0.5, abs=1e-6)


def test_samples_are_on_the_surface_and_even() -> None:
    mesh = box()
    points, normals = sample_surface(mesh, 6000)
    assert (np.abs(np.abs(points).max(axis=1) - 0.5) < 1e-6).all()
    np.testing.assert_allclose((points * normals).sum(axis=1), 0.5, atol=1e-6)  # outward, at the face's distance
    side = np.abs(normals).argmax(axis=1) * 2 + (normals.sum(axis=1) > 0)
    assert np.bincount(side, minlength=6) == pytest.approx(np.full(6, 1000), abs=150)  # five standard deviations
    assert np.abs(points.mean(axis=0)).max() < 0.03
    assert (sample_surface(mesh, 10, seed=1)[0] != sample_surface(mesh, 10, seed=2)[0]).any()


def test_bad_surfaces() -> None:
    flat = Mesh(np.zeros((3, 3), np.float32), np.array([[0, 1, 2]]))
    with pytest.raises(InputError, match="without area"):
        sample_surface(flat, 5)
    with pytest.raises(InputError, match="at least 1"):
        normal_consistency(box(), box(), n=0)
    assert self_intersection(flat) == (0, 1)


def test_two_triangles() -> None:
    lying = np.array([[0.0, 0, 0], [4, 0, 0], [0, 4, 0]])
    standing = np.array([[1.0, 1, -1], [1, 1, 1], [2, 1, 1]])
    apart = np.concatenate([lying, standing + np.array([5, 5, 0])])
    crossing = np.concatenate([lying, standing])
    touching = np.concatenate([lying, standing + np.array([0, 0, 1])])
    faces = np.array([[0, 1, 2], [3, 4, 5]])
    found = [self_intersection(Mesh(vertices, faces)).share for vertices in (apart, crossing, touching)]
    assert found == [0, 1, 0]


def test_crossing_by_a_linear_program() -> None:
    """Two triangles meet if weights of their corners exist that give the same point: a second way to ask."""
    rng = np.random.default_rng(0)
    meet = []
    for _ in range(60):
        corners = rng.normal(size=(6, 3)).astype(np.float32)
        rows = np.zeros((5, 6))
        rows[:3, :3], rows[:3, 3:] = corners[:3].T, -corners[3:].T
        rows[3, :3] = rows[4, 3:] = 1
        meet.append(linprog(np.zeros(6), A_eq=rows, b_eq=[0, 0, 0, 1, 1]).status == 0)
        found = self_intersection(Mesh(corners, np.array([[0, 1, 2], [3, 4, 5]]))).share
        assert found == float(meet[-1])
    assert 10 < sum(meet) < 50


def test_boxes_that_run_through_one_another() -> None:
    """Around a corner of each, three sides of both are cut; seams and scale change nothing, boxes apart are free."""
    crossing = both(box(), box(0.4, 0.3, 0.2))
    share = self_intersection(crossing).share
    assert 6 / 24 <= share <= 12 / 24
    assert self_intersection(unwelded(crossing)).share == share
    assert self_intersection(Mesh(crossing.vertices * 1000, crossing.faces)).share == share
    assert self_intersection(both(box(), box(2, 0, 0))).share == 0
    assert self_intersection(both(sphere(1.0), sphere(0.9))).share == 0


def test_search_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample of the faces says about the same as all, the same each time."""
    mesh = both(sphere(subdivisions=2), of(trimesh.creation.icosphere(subdivisions=2).apply_translation((1, 0.1, 0))))
    everything = self_intersection(mesh)
    assert everything.examined == 640
    monkeypatch.setattr(mesh_metrics, "BOXES_AT_ONCE", 640 * 50)
    monkeypatch.setattr(mesh_metrics, "TESTS_AT_ONCE", 97)
    assert self_intersection(mesh) == everything
    monkeypatch.setattr(mesh_metrics, "MAX_COMPARISONS", 640 * 300)
    part = self_intersection(mesh)
    assert part.examined == 300
    assert part == self_intersection(mesh)
    assert part.share == pytest.approx(everything.share, abs=0.06)
    monkeypatch.setattr(mesh_metrics, "MAX_TESTS", 1)
    assert self_intersection(mesh).examined == 50
