"""Triangles to pixels: every pixel once, the nearest face, weights that blend."""

from __future__ import annotations

import numpy as np

from enpointe.render.software.rasterize import rasterize


def test_mesh_faces_cover_each_pixel_once_and_interpolate() -> None:
    screen = np.array([[0, 0, 1.0], [8, 0, 1], [8, 8, 3], [0, 8, 3]])
    face, weights, depth = rasterize(screen, np.array([[0, 1, 2], [0, 2, 3]]), 8)
    assert (face >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=2), 1, atol=1e-5)
    np.testing.assert_allclose(depth, np.repeat(1 + 2 * (np.arange(8) + 0.5)[:, None] / 8, 8, axis=1), atol=1e-5)
    rows, columns = np.mgrid[:8, :8]
    assert np.array_equal(face[rows > columns], np.ones(28))


def test_mesh_nearest_face_wins_and_far_sides_are_culled() -> None:
    screen = np.array([[0, 0, 2.0], [0, 16, 2], [16, 0, 2], [0, 0, 1], [0, 16, 1], [16, 0, 1]])
    faces = np.array([[0, 1, 2], [3, 5, 4]])
    both = rasterize(screen, faces, 8)
    assert (both[0] == 1).all()
    np.testing.assert_allclose(both[2], 1, rtol=1e-6)
    assert (rasterize(screen, faces, 8, cull=True)[0] == 0).all()


def test_places_that_are_not_kept_are_seen_through() -> None:
    screen = np.array([[0, 0, 1.0], [0, 16, 1], [16, 0, 1], [0, 0, 2], [0, 16, 2], [16, 0, 2]])
    face, weights, _ = rasterize(
        screen, np.arange(6).reshape(2, 3), 8, keep=lambda face, weights: (face == 1) | (weights[:, 0] > 0.5)
    )
    near = face == 0
    assert 0 < near.sum() < near.size
    assert (face[~near] == 1).all()
    assert (weights[near][:, 0] > 0.5).all()
    assert (weights[~near][:, 0] <= 0.5).all()
