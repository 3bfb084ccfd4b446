from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from enpointe.core.errors import InputError, MeshError
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.meshing.lattice import mixed_cells
from enpointe.meshing.marching_cubes import color_vertices, drop_small_pieces, march, mesh_from_field
from enpointe.meshing.sparse_grid import Field, Floats, GridSamples, Indices, sample_grid

Golden = Callable[[str], tuple[dict[str, Tensor], dict[str, Any]]]


def sphere(radius: float, center: tuple[float, float, float] = (0, 0, 0)) -> Field:
    return lambda p: np.float32(radius) - np.linalg.norm(p - np.array(center, np.float32), axis=1)


def union(*fields: Field) -> Field:
    return lambda p: np.max([field(p) for field in fields], axis=0)


def torus(p: Floats) -> Floats:
    ring = np.hypot(p[:, 0], p[:, 1]) - np.float32(0.3)
    distance: Floats = np.float32(0.12) - np.hypot(ring, p[:, 2])
    return distance


def thin_box(p: Floats) -> Floats:
    """A board 0.03 thick: less than two cells of the test's grid."""
    excess = np.abs(p) - np.array([0.4, 0.3, 0.015], np.float32)
    outside, inside = np.linalg.norm(np.maximum(excess, 0), axis=1), np.minimum(excess.max(axis=1), 0)
    values: Floats = -(outside + inside)
    return values


def rough(base: Field, slope: float, seed: int) -> Field:
    """`base` plus eight random waves that add up to at most `slope` to its Lipschitz constant."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=(3, 8))
    frequency = rng.uniform(5, 30, 8)
    waves = (direction / np.linalg.norm(direction, axis=0) * frequency).astype(np.float32)
    height = (slope / 8 / frequency).astype(np.float32)
    phase = rng.uniform(0, 2 * np.pi, 8).astype(np.float32)

    def field(p: Floats) -> Floats:
        # One product at a time: a matrix product may round differently in another batch.
        values = base(p)
        for (x, y, z), h, shift in zip(waves.T, height, phase, strict=True):
            values = values + h * np.sin(p[:, 0] * x + p[:, 1] * y + p[:, 2] * z + shift)
        return values

    return field


TWO = union(sphere(0.2, (-0.25, 0, 0)), sphere(0.1, (0.3, 0.1, 0.2)))
FIELDS: dict[str, Field] = {
    "sphere": sphere(0.4),
    "torus": torus,
    "thin box": thin_box,
    "two spheres": TWO,
    "union": union(torus, thin_box, sphere(0.15, (0.1, -0.2, 0.3))),
    "cut by the border": sphere(0.4, (0.3, 0.2, -0.35)),
    "dent": lambda p: np.minimum(sphere(0.4)(p), -sphere(0.3, (0.35, 0, 0))(p)),
    "tiny": sphere(0.028, (0.1, 0.2, 0.3)),
    "rough sphere": rough(sphere(0.35), 0.3, 1),
    "rough torus": rough(torus, 0.3, 2),
    "not a distance": lambda p: 7 * torus(p),
}


def as_trimesh(vertices: Floats, faces: NDArray[np.int64]) -> Any:
    return trimesh.Trimesh(vertices, faces, process=True)


@pytest.mark.parametrize("grid_size", [33, 96])
@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.slow
def test_sparse_equals_dense(name: str, grid_size: int) -> None:
    dense = sample_grid(FIELDS[name], grid_size=grid_size, method="dense")
    sparse = sample_grid(FIELDS[name], grid_size=grid_size)

    assert dense.n_queries == grid_size**3
    np.testing.assert_array_equal(sparse.inside, dense.inside)
    surface = np.pad(mixed_cells(dense.inside), 1)
    needed = np.any([surface[a : a + grid_size, b : b + grid_size, c : c + grid_size]
                     for a in (0, 1) for b in (0, 1) for c in (0, 1)], axis=0)  # fmt: skip
    np.testing.assert_array_equal(sparse.values[needed], dense.values[needed])
    for ours, theirs in zip(march(sparse), march(dense), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", FIELDS)
def test_values_between_are_bounds(name: str) -> None:
    """Where the field was not asked, the sample keeps its sign and is not further from zero."""
    dense = sample_grid(FIELDS[name], grid_size=50, method="dense").values
    sparse = sample_grid(FIELDS[name], grid_size=50).values
    assert np.all(np.abs(sparse) <= np.abs(dense) + 1e-6)


@pytest.mark.parametrize(("name", "ratio"), [("torus", 25), ("sphere", 17.5), ("rough torus", 24), ("thin box", 34)])
def test_sparse_asks_far_less(name: str, ratio: float) -> None:
    asked = 0

    def counting(p: Floats) -> Floats:
        nonlocal asked
        asked += len(p)
        return FIELDS[name](p)

    samples = sample_grid(counting, grid_size=128)
    assert samples.n_queries == asked
    assert 128**3 / asked > ratio


cone = st.tuples(*[st.floats(-0.45, 0.45)] * 3, st.floats(0.02, 0.1))


@settings(max_examples=40, deadline=None)
@given(st.lists(cone, max_size=4), st.integers(17, 70))
@pytest.mark.slow
def test_nothing_as_steep_as_told_is_missed(cones: list[tuple[float, float, float, float]], grid_size: int) -> None:
    """Peaks that are just not as steep as the default allows, a few samples wide or less, beside a ball."""

    def peak(x: float, y: float, z: float, h: float) -> Field:
        return lambda points: np.float32(1.49) * sphere(h, (x, y, z))(points)

    peaks = [peak(*cone) for cone in cones]
    field = union(sphere(0.2, (-0.2, -0.2, -0.2)), *peaks)
    dense = sample_grid(field, grid_size=grid_size, method="dense")
    sparse = sample_grid(field, grid_size=grid_size)
    np.testing.assert_array_equal(sparse.inside, dense.inside)


def test_what_is_steeper_than_told_can_be_missed() -> None:
    """So the test above is no empty one."""
    field = union(sphere(0.2, (-0.2, -0.2, -0.2)), lambda p: 60 * sphere(0.02, (0.34, 0.34, 0.34))(p))
    dense = sample_grid(field, grid_size=65, method="dense")
    assert dense.inside[45:, 45:, 45:].any()
    assert not sample_grid(field, grid_size=65, lipschitz=0.5).inside[45:, 45:, 45:].any()


def steep_rod(p: Floats) -> Floats:
    """A ball whose field knows nothing of the thin hooked rod that sticks out of it: no coarse sample sees it."""
    x, y, z = p.T
    along_x = (x > 0) & (x < 0.4) & (np.hypot(y - 0.03, z - 0.03) < 0.017)
    along_y = (y > 0) & (y < 0.45) & (np.hypot(x - 0.4, z - 0.03) < 0.017)
    values: Floats = np.where(along_x | along_y, np.float32(0.01), sphere(0.15)(p))
    return values


def test_surface_is_followed_where_the_field_is_steeper_than_told() -> None:
    dense = sample_grid(steep_rod, grid_size=96, method="dense")
    sparse = sample_grid(steep_rod, grid_size=96)
    for ours, theirs in zip(march(sparse), march(dense), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert march(sparse)[0][:, 1].max() > 0.44
    assert sparse.n_queries < dense.n_queries / 10


def winding(p: Floats) -> Floats:
    """A gyroid in a ball: smooth, no steeper than a distance, and its surface is everywhere."""
    x, y, z = (45 * p.T).astype(np.float32)
    waves = np.sin(x) * np.cos(y) + np.sin(y) * np.cos(z) + np.sin(z) * np.cos(x)
    values: Floats = np.minimum(sphere(0.45)(p), waves / np.float32(80))
    return values


@pytest.mark.parametrize(("grid_size", "stride"), [(95, 2), (96, 2), (48, 1)])
def test_a_surface_that_fills_the_box_is_sampled_more_coarsely(grid_size: int, stride: int) -> None:
    """It is then the surface of every second sample of the dense grid, without exception."""
    dense = sample_grid(winding, grid_size=grid_size, method="dense")
    sparse = sample_grid(winding, grid_size=grid_size)
    assert sparse.n_queries <= max(200_000, 24 * grid_size**2)
    assert sparse.voxel == pytest.approx(stride * dense.voxel)
    every = GridSamples(dense.values[::stride, ::stride, ::stride].copy(), dense.low, sparse.voxel, 0)
    np.testing.assert_array_equal(sparse.inside, every.inside)
    for ours, theirs in zip(march(sparse), march(every), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert np.abs(march(sparse)[0]).max() == pytest.approx(0.45, abs=sparse.voxel)


def extract_surface(field: Field, **options: Any) -> tuple[Floats, Indices]:
    """Where a field is zero; the options are those of `sample_grid`."""
    return march(sample_grid(field, **options))


ball = st.tuples(*[st.floats(-0.35, 0.35)] * 3, st.floats(0.03, 0.3))


@settings(max_examples=25, deadline=None)
@given(st.lists(ball, min_size=1, max_size=4), st.integers(17, 40))
def test_unions_of_balls(balls: list[tuple[float, float, float, float]], grid_size: int) -> None:
    field = union(*[sphere(r, (x, y, z)) for x, y, z, r in balls])
    dense = sample_grid(field, grid_size=grid_size, method="dense")
    if not dense.inside.any():  # balls that fit between the samples
        with pytest.raises(MeshError, match="outside"):
            extract_surface(field, grid_size=grid_size)
        return
    vertices, faces = extract_surface(field, grid_size=grid_size)
    expected = march(dense)
    np.testing.assert_array_equal(vertices, expected[0])
    np.testing.assert_array_equal(faces, expected[1])
    mesh = as_trimesh(vertices, faces)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume > 0


@pytest.mark.golden
def test_release_marching_cubes(golden: Golden) -> None:
    tensors, about = golden("mesh_ellipsoid")
    grid_size, wanted = about["grid_size"], {name: value.numpy() for name, value in tensors.items()}
    scale = np.array([1, 1.3, 0.8], np.float32)

    def field(p: Floats) -> Floats:
        values: Floats = np.float32(0.3) - np.linalg.norm(p * scale, axis=1)
        return values

    methods: list[Literal["dense", "sparse"]] = ["dense", "sparse"]
    for method in methods:
        vertices, faces = extract_surface(field, grid_size=grid_size, method=method)
        np.testing.assert_array_equal(faces, wanted["faces"])
        np.testing.assert_allclose(vertices, wanted["verts"], atol=1e-5)
        # The release's normals are the field's gradient: the same direction, up to a coarse grid's faces.
        assert (Mesh(vertices, faces).normals * wanted["normals"]).sum(axis=1).min() > 0.97
    channels = np.stack([wanted[f"ch_{c}"] for c in "RGB"], axis=1)
    cloud = PointCloud(wanted["coords"], channels)
    np.testing.assert_allclose(color_vertices(vertices, cloud, k=1)[:, 0], wanted["R"], atol=1e-6)


@pytest.mark.parametrize(
    ("field", "volume", "area"),
    [
        (sphere(0.4), 4 / 3 * np.pi * 0.4**3, 4 * np.pi * 0.4**2),
        (torus, 2 * np.pi**2 * 0.3 * 0.12**2, 4 * np.pi**2 * 0.3 * 0.12),
    ],
)
def test_known_volume_area_and_place(field: Field, volume: float, area: float) -> None:
    mesh = Mesh(*extract_surface(field, grid_size=64))
    assert mesh.volume == pytest.approx(volume, rel=0.01)
    assert mesh.area == pytest.approx(area, rel=0.01)
    assert np.abs(field(mesh.vertices)).max() < 5e-4  # linear interpolation in cells of 0.016


def test_box_and_resolution() -> None:
    vertices, _ = extract_surface(lambda p: 1 - np.linalg.norm(p - 3, axis=1), grid_size=40, box=(1, 5))
    np.testing.assert_allclose(np.linalg.norm(vertices - 3, axis=1), 1, atol=2e-3)


def flat_edged(p: Floats) -> Floats:
    """An octahedron whose faces, edges and corners go through samples: many are exactly zero."""
    values: Floats = np.float32(0.5) - np.abs(p).sum(axis=1)
    return values


HARD: dict[str, tuple[Field, tuple[float, float]]] = {
    "border": (sphere(0.4, (0.3, 0.2, -0.35)), (-0.5, 0.5)),
    "zeros": (flat_edged, (-1, 1)),
    "slab": (lambda p: np.float32(0.25) - np.abs(p[:, 2]), (-0.5, 0.5)),
    "checkers": (lambda p: np.prod(np.sign(np.sin(np.float32(9.3) * p + np.float32(0.1))), axis=1), (-0.5, 0.5)),
    "noise": (lambda p: np.sign(np.sin(p @ np.array([9e4, 5e4, 7e4], np.float32)) + 0.01), (-0.5, 0.5)),
}


@pytest.mark.parametrize("name", HARD)
def test_closed_whatever_the_field(name: str) -> None:
    field, box = HARD[name]
    vertices, faces = extract_surface(field, grid_size=33, box=box)
    mesh = as_trimesh(vertices, faces)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume > 0
    voxel = (box[1] - box[0]) / 32
    assert vertices.min() >= box[0] - 0.51 * voxel
    assert vertices.max() <= box[1] + 0.51 * voxel


def test_ties_are_what_it_takes_care_of() -> None:
    """The plain tables do leave edges with four faces there, so the case above is no empty one."""
    from skimage import measure

    marching_cubes: Callable[..., Any] = measure.marching_cubes
    signs = np.random.default_rng(0).integers(0, 2, (20, 20, 20)).astype(np.float32) * 2 - 1
    vertices, faces, _, _ = marching_cubes(np.pad(signs, 1, constant_values=-1), 0.0)
    assert not Mesh(vertices, faces[:, [1, 0, 2]].astype(np.int64)).is_watertight
    assert Mesh(*march(GridSamples(signs, 0, 1, 0))).is_watertight


def test_colours_blend_the_nearest_points() -> None:
    cloud = PointCloud(
        np.array([[0, 0, 0], [1, 0, 0], [0, 9, 0]], np.float32),
        np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32),
    )
    vertices = np.array([[0, 0, 0], [0.25, 0, 0], [0.5, 0, 0]], np.float32)
    blended = color_vertices(vertices, cloud, k=2)
    np.testing.assert_allclose(blended, np.array([[1, 0, 0], [0.75, 0.25, 0], [0.5, 0.5, 0]]), atol=1e-6)
    np.testing.assert_array_equal(color_vertices(vertices[:2], cloud, k=1), np.array([[1, 0, 0], [1, 0, 0]]))
    np.testing.assert_array_equal(color_vertices(vertices, cloud, k=50), color_vertices(vertices, cloud, k=3))
    with pytest.raises(InputError, match="k: expected"):
        color_vertices(vertices, cloud, k=0)


def test_small_pieces() -> None:
    mesh = Mesh(*extract_surface(TWO, grid_size=48))  # areas 4 : 1, volumes 8 : 1
    mesh = Mesh(mesh.vertices, mesh.faces, np.clip(mesh.vertices + 0.5, 0, 1))
    assert len(drop_small_pieces(mesh, 0.22).faces) == len(mesh.faces)
    assert len(drop_small_pieces(mesh, 0.10, by="volume").faces) == len(mesh.faces)
    for small in (drop_small_pieces(mesh, 0.28), drop_small_pieces(mesh, 0.15, by="volume")):
        assert small.is_watertight
        assert small.vertices[:, 0].max() < 0
        assert small.volume == pytest.approx(4 / 3 * np.pi * 0.2**3, rel=0.02)
        assert small.colors is not None
        np.testing.assert_array_equal(small.colors, np.clip(small.vertices + 0.5, 0, 1))
    with pytest.raises(InputError, match="min_fraction"):
        drop_small_pieces(mesh, 1.5)


def half_and_half() -> PointCloud:
    directions = np.random.default_rng(0).normal(size=(500, 3))
    points = (0.4 * directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(np.float32)
    colors = np.where(points[:, :1] > 0, [[1, 0, 0]], [[0, 0, 1]]).astype(np.float32)
    return PointCloud(points, colors)


def test_mesh_from_field() -> None:
    crumb = sphere(0.03, (0.47, 0.47, 0.47))
    mesh = mesh_from_field(union(sphere(0.4), crumb), half_and_half(), grid_size=48)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 0.4**3, rel=0.01)
    assert mesh.colors is not None
    red = mesh.colors[mesh.vertices[:, 0] > 0.2]
    np.testing.assert_allclose(red, np.broadcast_to([1, 0, 0], red.shape), atol=1e-6)
    with_crumb = mesh_from_field(union(sphere(0.4), crumb), half_and_half(), grid_size=48, keep_small=True)
    assert with_crumb.vertices.max() > 0.47


def noise(p: Floats) -> Floats:
    values: Floats = np.sin(1e4 * p[:, 0] + 7e4 * p[:, 1] + 3e4 * p[:, 2]).astype(np.float32)
    return values


def broken(p: Floats) -> Floats:
    return np.where(p[:, 0] > 0.3, np.float32(np.nan), torus(p))


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (lambda p: np.full(len(p), -1, np.float32), "all of it outside"),
        (lambda p: np.zeros(len(p), np.float32), "all of it outside"),
        (lambda p: np.full(len(p), 1, np.float32), "all of it inside"),
        (broken, "NaN or infinite"),
        (lambda p: -torus(p), "border"),
        (lambda p: 0.1 + p[:, 2], "border"),
        (lambda p: np.minimum(sphere(0.53)(p), noise(p)), "mostly noise"),
    ],
)
@pytest.mark.slow
def test_no_object(field: Field, message: str) -> None:
    with pytest.raises(MeshError, match=message):
        mesh_from_field(field, half_and_half(), grid_size=64)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: extract_surface(torus, grid_size=7), "from 8 to 1024, found 7"),
        (lambda: extract_surface(torus, grid_size=10**9), "found 1000000000"),
        (lambda: extract_surface(torus, grid_size=64.0), "an integer"),
        (lambda: extract_surface(torus, box=(1, 0)), "low < high"),
        (lambda: extract_surface(torus, box=(0, float("nan"))), "low < high"),
        (lambda: extract_surface(torus, box=3), "two numbers"),
        (lambda: extract_surface(torus, method="fast"), "sparse, dense, interpolated, found 'fast'"),
        (lambda: extract_surface(torus, lipschitz=0), "lipschitz"),
        (lambda: extract_surface(lambda p: p), r"shape \(\d+,\)"),
        (lambda: mesh_from_field(torus, half_and_half(), k=0), "k: expected"),
    ],
)
def test_wrong_arguments(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
