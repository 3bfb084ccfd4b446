"""Clouds and meshes as objects of trimesh, and back."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image

from enpointe.core.errors import InputError
from enpointe.core.warnings import LostDataWarning
from enpointe.geometry import Mesh, PointCloud


def test_a_cloud_there_and_back(cloud: PointCloud) -> None:
    other = cloud.to_trimesh()
    assert isinstance(other, trimesh.PointCloud)
    again = PointCloud.from_trimesh(other)
    np.testing.assert_array_equal(again.points, cloud.points)
    np.testing.assert_allclose(again.colors, cloud.colors, atol=0.5 / 255 + 1e-6)
    with pytest.warns(LostDataWarning, match="gray"):
        gray = PointCloud.from_trimesh(trimesh.PointCloud(cloud.points))
    assert (gray.colors == np.float32(0.7)).all()


@pytest.mark.parametrize("colored", [True, False])
def test_a_mesh_there_and_back(mesh: Mesh, colored: bool) -> None:
    mesh = mesh if colored else Mesh(mesh.vertices, mesh.faces)
    other = mesh.to_trimesh()
    assert isinstance(other, trimesh.Trimesh)
    assert other.volume == pytest.approx(1)
    again = Mesh.from_trimesh(other)
    np.testing.assert_array_equal(again.vertices, mesh.vertices)
    np.testing.assert_array_equal(again.faces, mesh.faces)
    if mesh.colors is None:
        assert again.colors is None
    else:
        assert again.colors is not None
        np.testing.assert_allclose(again.colors, mesh.colors, atol=0.5 / 255 + 1e-5)


def test_colors_of_faces_and_textures() -> None:
    box = trimesh.creation.box()
    box.visual.face_colors = np.repeat(np.eye(3, 4, dtype=np.uint8) * 255, 4, axis=0) | np.array(
        [0, 0, 0, 255], np.uint8
    )
    mesh = Mesh.from_trimesh(box)
    assert mesh.colors is not None
    np.testing.assert_allclose(mesh.colors[mesh.faces], np.repeat(np.eye(3), 4, axis=0)[:, None] + np.zeros((12, 3, 3)))
    material = trimesh.visual.material.SimpleMaterial(image=Image.new("RGB", (2, 2), (255, 0, 0)))
    box.visual = trimesh.visual.TextureVisuals(uv=np.full((8, 2), 0.5), material=material)
    mesh = Mesh.from_trimesh(box)
    assert mesh.colors is not None
    np.testing.assert_allclose(mesh.colors, [(1, 0, 0)] * 8)


def test_bodies_of_a_scene_stand_where_it_puts_them() -> None:
    scene = trimesh.Scene([trimesh.creation.box(), trimesh.PointCloud(np.zeros((2, 3)))])
    scene.add_geometry(trimesh.creation.box(), transform=trimesh.transformations.translation_matrix((5, 0, 0)))
    mesh = Mesh.from_trimesh(scene)
    assert len(mesh.vertices) == 16
    assert mesh.volume == pytest.approx(2)
    assert mesh.vertices[:, 0].max() == 5.5


@pytest.mark.parametrize("other", [None, trimesh.PointCloud(np.zeros((2, 3)))])
def test_what_is_no_mesh(other: Any) -> None:
    with pytest.raises(InputError, match="expected"):
        Mesh.from_trimesh(other)
    with pytest.raises(InputError, match=r"expected a trimesh\.PointCloud, found Trimesh"):
        PointCloud.from_trimesh(trimesh.creation.box())


def test_without_the_package(cloud: PointCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trimesh", None)
    with pytest.raises(InputError, match=r"enpointe\[trimesh\]"):
        cloud.to_trimesh()
