from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from enpointe.core.errors import MeshError
from enpointe.geometry.mesh import Mesh
from enpointe.meshing import interpolated_grid
from enpointe.meshing.lattice import Sampler, mixed_cells, points_of_cells
from enpointe.meshing.marching_cubes import march
from enpointe.meshing.sparse_grid import Field, Floats, GridSamples, sample_grid


def sphere(p: Floats) -> Floats:
    values: Floats = np.float32(0.4) - np.linalg.norm(p - np.float32(0.03), axis=1)
    return values


def torus(p: Floats) -> Floats:
    ring = np.hypot(p[:, 0], p[:, 1]) - np.float32(0.3)
    values: Floats = np.float32(0.12) - np.hypot(ring, p[:, 2])
    return values


def board(half_sides: tuple[float, float, float]) -> Field:
    """A signed distance, turned about z so that no side lies along the grid."""
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]], np.float32)

    def field(p: Floats) -> Floats:
        beyond = np.abs(p @ turn) - np.array(half_sides, np.float32)
        values: Floats = -np.linalg.norm(np.maximum(beyond, 0), axis=1) - np.minimum(beyond.max(axis=1), 0)
        return values.astype(np.float32)

    return field


box, thin = board((0.4, 0.3, 0.2)), board((0.4, 0.3, 0.01))


def stepped(p: Floats) -> Floats:
    """A torus whose distances jump by half of them between cubes that are not the grid's, but keep their sign."""
    jump = 1 + 0.3 * (-1) ** np.floor(9.3 * p).sum(axis=1)
    values: Floats = (torus(p) * jump).astype(np.float32)
    return values


def offsets(found: GridSamples, exact: GridSamples) -> NDArray[np.float64]:
    """Distances in voxels from each surface's vertices to the nearest of the other's."""
    one, other = march(found)[0], march(exact)[0]
    both: NDArray[np.float64] = (
        np.concatenate([cKDTree(a).query(b)[0] for a, b in ((one, other), (other, one))]) / exact.voxel
    )
    return both


@pytest.mark.parametrize(
    ("field", "fewer", "mean", "most"),
    [(sphere, 2.5, 0.001, 0.01), (torus, 2.2, 0.002, 0.1), (box, 2.2, 0.02, 0.8), (thin, 1.3, 0.08, 0.5)],
)
def test_surface_is_the_dense_grids_within_a_fraction_of_a_voxel(
    field: Field, fewer: float, mean: float, most: float
) -> None:
    exact = sample_grid(field, grid_size=96)
    found = sample_grid(field, grid_size=96, method="interpolated")
    assert found.values.shape == exact.values.shape
    assert found.voxel == exact.voxel
    assert found.n_queries * fewer < exact.n_queries
    away = offsets(found, exact)
    assert away.mean() < mean
    assert away.max() < most
    assert Mesh(*march(found)).is_watertight
    assert np.count_nonzero(found.inside != exact.inside) < 2e-3 * mixed_cells(exact.inside).sum()


def test_known_volume_and_area() -> None:
    mesh = Mesh(*march(sample_grid(torus, grid_size=64, method="interpolated")))
    assert mesh.volume == pytest.approx(2 * np.pi**2 * 0.3 * 0.12**2, rel=0.01)
    assert mesh.area == pytest.approx(4 * np.pi**2 * 0.3 * 0.12, rel=0.01)


def asked_points(field: Field, grid_size: int) -> tuple[GridSamples, Floats]:
    asked = []

    def listening(p: Floats) -> Floats:
        asked.append(p)
        return field(p)

    return sample_grid(listening, grid_size=grid_size, method="interpolated"), np.concatenate(asked)


def test_same_each_time_and_counted() -> None:
    one, asked = asked_points(box, 65)
    other, again = asked_points(box, 65)
    assert one.values.tobytes() == other.values.tobytes()
    assert asked.tobytes() == again.tobytes()
    assert one.n_queries == len(asked) == len(np.unique(asked, axis=0))  # no point twice


cubic = st.lists(st.floats(-1, 1), min_size=20, max_size=20)


@settings(max_examples=10, deadline=None)
@given(cubic, st.integers(6, 8))
def test_cubic_polynomials_are_interpolated_exactly(coefficients: list[float], m: int) -> None:
    powers = [(i, j, k) for i, j, k in product(range(4), repeat=3) if i + j + k <= 3]

    def polynomial(index: NDArray[Any]) -> NDArray[Any]:
        x, y, z = index / m - 1
        return np.sum([c * x**i * y**j * z**k for c, (i, j, k) in zip(coefficients, powers, strict=True)], axis=0)

    lattice = polynomial(2.0 * np.indices((m,) * 3).reshape(3, -1)).reshape((m,) * 3).astype(np.float32)
    points = np.indices((2 * m - 1,) * 3).reshape(3, -1)
    inner = points[:, ((points >= 2) & (points <= 2 * m - 4)).all(axis=0)]
    values, change = interpolated_grid._interpolated(lattice, inner)
    np.testing.assert_allclose(values, polynomial(inner), atol=1e-5)
    # At the lattice's border rows are quadratic, and off by the change that is told, at most once for each axis.
    values, change = interpolated_grid._interpolated(lattice, points)
    told = np.isfinite(change)
    assert told.mean() > 0.9
    assert np.all(np.abs(values - polynomial(points))[told] <= 3 * change[told] + 1e-5)


def test_what_is_not_known_is_not_made_up() -> None:
    lattice = np.ones((6, 6, 6), np.float32)
    lattice[3, 3, 3] = np.nan
    values, change = interpolated_grid._interpolated(lattice, np.array([[5, 5, 0], [5, 6, 1], [7, 6, 0]]))
    np.testing.assert_array_equal(np.isnan(values), [True, True, False])
    assert change[2] == 0


def test_jumps_are_small_or_asked() -> None:
    dense = sample_grid(stepped, grid_size=64, method="dense")
    found = sample_grid(stepped, grid_size=64, method="interpolated")
    np.testing.assert_array_equal(found.inside, dense.inside)
    corners = points_of_cells(mixed_cells(dense.inside))
    # A jump by J changes second differences by 2 J, a sixteenth of which is trusted up to 0.2 voxels, and its middle
    # is interpolated by half of it: what is not asked is off by at most four times as much.
    errors = np.abs(found.values - dense.values)[corners] / dense.voxel
    assert errors.max() < 0.8 * 1.05
    assert errors.mean() < 0.08
    assert offsets(found, dense).max() < 0.6


def noisy(p: Floats) -> Floats:
    """A ball with noise of a third of a voxel of a grid of 48: no neighbor tells anything of it."""
    rough = np.sin(p @ np.array([9e4, 5e4, 7e4], np.float32))
    values: Floats = (sphere(p) + np.float32(0.007) * rough).astype(np.float32)
    return values


def test_noise_gives_the_dense_grids_surface() -> None:
    def stable(p: Floats) -> Floats:
        """One at a time: a product of matrices may round differently in another batch, which this field shows."""
        index = np.rint((p + 0.51) / (1.02 / 47)).astype(np.int64)
        return table[tuple(index.T)]

    table = sample_grid(noisy, grid_size=48, method="dense").values
    exact, found = (sample_grid(stable, grid_size=48, method=method) for method in ("dense", "interpolated"))
    corners = points_of_cells(mixed_cells(exact.inside))
    assert (found.values[corners] == exact.values[corners]).mean() > 0.9
    assert (found.inside != exact.inside).sum() < 0.01 * corners.sum()


def test_bad_spots_make_it_ask_all(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = sample_grid(box, grid_size=64)
    monkeypatch.setattr(interpolated_grid, "_TOLERANCE", np.inf)
    monkeypatch.setattr(interpolated_grid, "_SIGN_MARGIN", 0.0)
    careless = sample_grid(box, grid_size=64, method="interpolated")
    monkeypatch.setattr(interpolated_grid, "_SPOT_ERROR", 0.0)
    careful = sample_grid(box, grid_size=64, method="interpolated")
    corners = points_of_cells(mixed_cells(exact.inside))
    assert (careless.values != exact.values)[corners].mean() > 0.2
    np.testing.assert_array_equal(careful.values[corners], exact.values[corners])
    for ours, theirs in zip(march(careful), march(exact), strict=True):
        np.testing.assert_array_equal(ours, theirs)


ball = st.tuples(*[st.floats(-0.35, 0.35)] * 3, st.floats(0.04, 0.3))


@settings(max_examples=15, deadline=None)
@given(st.lists(ball, min_size=1, max_size=4), st.integers(24, 56))
def test_unions_of_balls(balls: list[tuple[float, float, float, float]], grid_size: int) -> None:
    def field(p: Floats) -> Floats:
        values: Floats = np.max([np.float32(r) - np.linalg.norm(p - np.array(c, np.float32), axis=1)
                                 for *c, r in balls], axis=0)  # fmt: skip
        return values

    dense = sample_grid(field, grid_size=grid_size, method="dense")
    found = sample_grid(field, grid_size=grid_size, method="interpolated")
    different = found.inside != dense.inside
    assert np.abs(dense.values[different]).max(initial=0) < 0.5 * dense.voxel  # no part lost, no part made up
    assert found.n_queries <= dense.n_queries


@pytest.mark.parametrize("grid_size", [8, 24, 25, 26, 49, 50])
def test_any_grid(grid_size: int) -> None:
    dense = sample_grid(sphere, grid_size=grid_size, method="dense")
    found = sample_grid(sphere, grid_size=grid_size, method="interpolated")
    assert found.values.shape == dense.values.shape
    assert np.abs(dense.values[found.inside != dense.inside]).max(initial=0) < 0.05 * dense.voxel
    assert offsets(found, dense).max() < 0.1


def test_at_the_border_nothing_beyond_it_counts() -> None:
    def cut(p: Floats) -> Floats:
        return sphere(p - np.array([0.3, 0.2, -0.35], np.float32))

    for grid_size in (48, 49):
        dense = sample_grid(cut, grid_size=grid_size, method="dense")
        found = sample_grid(cut, grid_size=grid_size, method="interpolated")
        np.testing.assert_array_equal(found.inside, dense.inside)
        assert offsets(found, dense).max() < 0.1


def winding(p: Floats) -> Floats:
    """A gyroid: its surface is everywhere."""
    x, y, z = (45 * p.T).astype(np.float32)
    values: Floats = (np.sin(x) * np.cos(y) + np.sin(y) * np.cos(z) + np.sin(z) * np.cos(x)) / np.float32(80)
    return values


def test_a_surface_that_fills_the_box_is_sampled_more_coarsely(monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[bool] = []
    fill: Callable[..., Floats | None] = interpolated_grid.fill_between

    def told(sampler: Sampler, *given: object) -> Floats | None:
        fine = fill(sampler, *given)
        refused.append(fine is None)
        return fine

    monkeypatch.setattr("enpointe.meshing.sparse_grid.fill_between", told)
    found = sample_grid(winding, grid_size=120, method="interpolated")
    dense = sample_grid(winding, grid_size=120, method="dense")
    stride = round(found.voxel / dense.voxel)
    assert stride in (2, 4)
    assert refused == ([True] if stride == 2 else [])
    assert found.n_queries <= 24 * 120**2
    np.testing.assert_array_equal(found.inside, dense.inside[::stride, ::stride, ::stride])


def test_a_field_that_is_not_finite() -> None:
    def broken(p: Floats) -> Floats:
        between = np.abs(np.rint((p[:, 0] + 0.51) / (1.02 / 63)) % 2 - 1) < 0.5  # at points between alone
        return np.where(between, np.float32(np.nan), torus(p))

    with pytest.raises(MeshError, match="NaN or infinite"):
        sample_grid(broken, grid_size=64, method="interpolated")
