"""Upsampling by cells: exact counts, no seams, nothing of a cell depends on its company."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from enpointe.core.errors import InputError
from enpointe.geometry.point_cloud import PointCloud
from enpointe.nn.point_transformer import PointTransformerConfig
from enpointe.pipelines.families.pocket.upsampling import (
    CellFrame,
    CellShape,
    _to_world,
    cells,
    offsets,
    spacing,
    surroundings,
    upsample,
)

Floats = NDArray[np.float32]
CPU = torch.device("cpu")
QUARTERS = torch.tensor([[0.25, -0.25, 0.25], [0.25, 0.25, -0.25], [0.0, 0.0, 0.0]])
"""Where a square's three new points lie beside its middle, in sides."""


def velocity_towards(x0: Tensor, x: Tensor, t: Tensor) -> Tensor:
    """The exact velocity at x = cos(a) x0 + sin(a) eps, where t is a as a part of pi/2, times 1000."""
    angle = (t.double() / 1000 * math.pi / 2)[:, None, None]
    return ((angle.cos() * x - x0) / angle.sin()).float()


def square_oracle(x: Tensor, t: Tensor, *, low_res: Tensor) -> Tensor:
    """Knows the dense grid of a plane: beside each anchor the three others of its square, in its color."""
    anchors, noisy = x[:, :6].double(), x[:, 6:]
    places = low_res[:, :3].transpose(1, 2).double()
    side = (torch.cdist(places, places) + 9 * torch.eye(places.shape[1])).amin((1, 2))
    target = anchors.clone()
    target[:, :3] = QUARTERS.double().repeat(1, x.shape[2] // 3) * side[:, None, None] / spacing(CellShape())
    return velocity_towards(target, noisy, t)


def random_oracle(x: Tensor, t: Tensor, *, low_res: Tensor) -> Tensor:
    """Offsets where noise put them, but flat in z; colors red."""
    angle = (t.double() / 1000 * math.pi / 2)[:, None, None]
    target = x[:, 6:].double() * angle.cos()  # the best guess of what is standard normal
    target[:, 2] = 0
    target[:, 3:] = torch.tensor([1.0, -1.0, -1.0])[:, None]
    return velocity_towards(target, x[:, 6:], t)


def anchor_oracle(x: Tensor, t: Tensor, *, low_res: Tensor) -> Tensor:
    """Every child lies where its anchor lies, in its color."""
    target = torch.cat([torch.zeros_like(x[:, :3]), x[:, 3:6]], dim=1).double()
    return velocity_towards(target, x[:, 6:], t)


def plane(side: int) -> PointCloud:
    """side^2 points amid the squares of a unit square at z = 0, colored by place."""
    ticks = (np.arange(side) + 0.5) / side - 0.5
    points = np.stack(np.meshgrid(ticks, ticks, [0.0], indexing="ij"), -1).reshape(-1, 3).astype(np.float32)
    return PointCloud(points, points + np.float32(0.5))


def scattered(n: int, seed: int = 0) -> PointCloud:
    rng = np.random.default_rng(seed)
    return PointCloud(rng.uniform(-0.5, 0.5, (n, 3)).astype(np.float32), rng.random((n, 3), dtype=np.float32))


def run(cloud: PointCloud, n_points: int, network: Any = random_oracle, **options: Any) -> PointCloud:
    options = {"seed": 0, "shape": CellShape(), "steps": 2, "device": CPU, **options}
    return upsample(network, cloud, n_points, **options)


@pytest.mark.parametrize("n_given", [128, 200, 1024])
@pytest.mark.parametrize("n_points", [1024, 1025, 4095, 4096, 4097, 16_384])
def test_the_given_points_first_and_exactly_so_many(n_given: int, n_points: int) -> None:
    cloud = scattered(n_given)
    dense = run(cloud, n_points)
    assert len(dense) == n_points
    assert dense.points[:n_given].tobytes() == cloud.points.tobytes()
    assert dense.colors[:n_given].tobytes() == cloud.colors.tobytes()


@pytest.mark.parametrize("shape", [CellShape(1, 1, 1), CellShape(5, 9, 7), CellShape(100, 130, 1), CellShape(64, 500)])
def test_any_shape_gives_the_count(shape: CellShape) -> None:
    for n_points in (130, 131, 600):
        assert len(run(scattered(130), n_points, shape=shape)) == n_points


def test_same_seed_same_bytes_other_seed_other_points() -> None:
    one, again, other = (run(scattered(200), 900, seed=seed) for seed in (7, 7, 8))
    assert one.points.tobytes() == again.points.tobytes()
    assert one.colors.tobytes() == again.colors.tobytes()
    assert np.abs(one.points[200:] - other.points[200:]).max() > 0.01


@pytest.mark.parametrize("sampler", ["heun", "dpmpp", "unipc", "ancestral", "dpm2"])
@pytest.mark.parametrize("batch", [1, 5])
def test_the_batch_size_does_not_matter(sampler: str, batch: int) -> None:
    cloud = scattered(700)  # 11 cells, one of them partly filled
    whole = run(cloud, 2800, sampler=sampler, steps=4, batch=64)
    parts = run(cloud, 2800, sampler=sampler, steps=4, batch=batch)
    assert np.abs(whole.points - parts.points).max() < 1e-5


def test_cells_do_not_share_noise() -> None:
    drawn: list[Tensor] = []

    def spy(x: Tensor, t: Tensor, *, low_res: Tensor) -> Tensor:
        drawn.extend(x[:, 6:])
        return random_oracle(x, t, low_res=low_res)

    run(scattered(512), 4096, network=spy, steps=1, batch=3)  # 8 cells, then 32
    assert len(drawn) == 40
    likeness = torch.corrcoef(torch.stack(drawn).flatten(1).double()) - torch.eye(40)
    assert likeness.abs().max() < 0.15  # 1,152 numbers each, and 780 pairs


@pytest.mark.parametrize("side", [16, 32, 27])
def test_no_seams_in_a_plane(side: int) -> None:
    cloud = plane(side)
    offset = QUARTERS.numpy().T / side
    wanted = np.concatenate([cloud.points, *(cloud.points + step for step in offset)])
    dense = run(cloud, 4 * side**2, network=square_oracle, steps=3)
    # Every place of the dense grid is found, once, whichever cells it lies between.
    distance, place = cKDTree(wanted).query(dense.points)
    assert distance.max() < 1e-3 / side
    assert sorted(place) == list(range(len(wanted)))
    anchor = cKDTree(cloud.points).query(dense.points)[1]
    assert np.abs(dense.colors - cloud.colors[anchor]).max() < 1e-4


def test_part_of_a_pass_is_even_too() -> None:
    dense = run(plane(32), 2048, network=square_oracle)
    grid = np.floor((dense.points[1024:, :2] + 0.5) * 4).astype(int).clip(0, 3)
    count = np.bincount(grid[:, 0] * 4 + grid[:, 1], minlength=16)
    assert count.sum() == 1024
    assert np.abs(count - 64).max() < 4 * 8  # at random into 16 parts: 64 +- 8


def test_two_passes_of_a_plane_stay_in_it() -> None:
    dense = run(plane(16), 4096, steps=3)
    assert np.abs(dense.points[:, 2]).max() < 1e-3
    assert np.allclose(dense.colors[256:], [1, 0, 0], atol=0.02)


def test_colours_beyond_the_range_are_brought_back() -> None:
    def glaring(x: Tensor, t: Tensor, *, low_res: Tensor) -> Tensor:
        return velocity_towards(torch.full_like(x[:, 6:], 3.0), x[:, 6:], t)

    assert run(scattered(128), 256, network=glaring).colors[128:].min() == 1


def test_with_a_network_that_knows_nothing() -> None:
    torch.manual_seed(0)
    config = PointTransformerConfig(
        width=32, layers=1, heads=2, input_channels=12, output_channels=6, time_as_token=False, low_res=True
    )
    dense = run(scattered(128), 500, network=config.build().eval())
    assert len(dense) == 500
    assert np.isfinite(dense.points).all()


def test_copies_of_points() -> None:
    few = scattered(5)
    cloud = few.select(np.arange(1024) % 5)
    dense = run(cloud, 4096)
    assert len(dense) == 4096
    assert dense.points[:1024].tobytes() == cloud.points.tobytes()
    one_place = few.select(np.zeros(128, int))
    dense = run(one_place, 300)
    assert np.abs(dense.points - one_place.points[0]).max() < 1e-4
    assert len(run(few.select([0, 1]), 50)) == 50


@pytest.mark.parametrize("n", [2, 3, 65, 700])
def test_a_full_pass_gives_each_point_its_children_and_no_more(n: int) -> None:
    """Cells that are not full repeat points for the network; what it draws for the repeats is left out."""
    cloud = scattered(n)
    distance, parent = cKDTree(cloud.points).query(run(cloud, 4 * n, network=anchor_oracle, batch=3).points)
    assert distance.max() < 1e-4
    assert np.bincount(parent, minlength=n).tolist() == [4] * n  # itself and three


@pytest.mark.parametrize("n", [2, 3, 65])
def test_tiny_clouds_grow_over_many_passes(n: int) -> None:
    cloud = scattered(n)
    dense = run(cloud, 1025)
    assert len(dense) == 1025
    assert dense.points[:n].tobytes() == cloud.points.tobytes()
    assert np.isfinite(dense.points).all()


@pytest.mark.parametrize(("n_given", "n_points"), [(128, 127), (1024, 1023), (200, 0)])
def test_wrong_counts(n_given: int, n_points: int) -> None:
    with pytest.raises(InputError, match=f"expected at least {n_given}.* found {n_points}$"):
        run(scattered(n_given), n_points)


def test_as_many_as_there_are_is_the_cloud_itself() -> None:
    cloud = scattered(128)
    assert run(cloud, 128).points.tobytes() == cloud.points.tobytes()


@pytest.mark.parametrize("wrong", [{"anchors": 0}, {"anchors": 129}, {"children": 0}, {"context": 0}, {"anchors": 12.5},
                                   {"children": "3"}])  # fmt: skip
def test_impossible_cells(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="cell: expected"):
        CellShape(**wrong)


@pytest.mark.parametrize("n_points", [201, 300, 800, 5000])
def test_progress_rises_to_its_total(n_points: int) -> None:
    told: list[tuple[int, int]] = []
    run(scattered(200), n_points, steps=1, batch=3, progress=lambda done, total: told.append((done, total)))
    assert {total for _, total in told} == {n_points - 200}
    done = [done for done, _ in told]
    assert done == sorted(done)
    assert done[-1] == n_points - 200


@given(st.integers(1, 400), st.integers(1, 70), st.integers(0, 9))
@pytest.mark.slow
def test_cells_are_the_points_each_once(n: int, size: int, seed: int) -> None:
    groups = cells(scattered(n, seed).points, size)
    assert sorted(np.concatenate(groups)) == list(range(n))
    assert len(groups) == -(-n // size)  # as few as there can be
    assert all(1 <= len(group) <= size for group in groups)
    assert sum(len(group) < size for group in groups) <= 1


def test_cells_are_neighbours() -> None:
    points = plane(32).points
    extent = [np.ptp(points[group], axis=0).max() for group in cells(points, 64)]
    assert max(extent) <= 8 / 32


def test_surroundings_hold_the_cell_first_and_then_the_nearest() -> None:
    points, shape = scattered(300).points, CellShape()
    tree = cKDTree(points)
    for cell in cells(points, shape.anchors):
        context = surroundings(tree, points, cell, shape)
        assert context[: len(cell)].tolist() == cell.tolist()
        assert len(set(context)) == shape.context
        away = np.linalg.norm(points - points[cell].mean(0), axis=1)
        others, left_out = context[len(cell) :], np.setdiff1d(np.arange(300), context)
        assert away[others].max() <= away[left_out].min() + 1e-6


def test_a_context_larger_than_the_cloud_repeats_it() -> None:
    points = scattered(70).points
    cell = cells(points, 64)[0]
    context = surroundings(cKDTree(points), points, cell, CellShape())
    assert len(context) == 128
    assert set(context) == set(range(70))


def test_the_network_sees_local_frames() -> None:
    seen: list[tuple[Tensor, Tensor]] = []

    def spy(x: Tensor, t: Tensor, *, low_res: Tensor) -> Tensor:
        seen.append((x, low_res))
        return random_oracle(x, t, low_res=low_res)

    run(scattered(512), 600, network=spy, steps=1)
    anchors, low_res = torch.cat([x[:, :6] for x, _ in seen]), torch.cat([low for _, low in seen])
    assert low_res.shape == (8, 6, 128)
    assert torch.allclose(low_res[:, :3].mean(2), torch.zeros(8, 3), atol=1e-5)
    assert torch.allclose(low_res[:, :3].norm(dim=1).amax(1), torch.ones(8), atol=1e-5)
    assert torch.equal(anchors, low_res[..., :64].repeat_interleave(3, dim=2))


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.floats(1e-3, 1e3), st.floats(-10, 10), st.booleans())
@pytest.mark.slow
def test_frames(seed: int, n: int, size: float, place: float, flat: bool) -> None:
    rng = np.random.default_rng(seed)
    points = (rng.normal(size=(n, 3)) * size * [1, 1, not flat] + place * size).astype(np.float32)
    colors = rng.random((n, 3), dtype=np.float32)
    frame = CellFrame.around(points)
    local = frame.to_local(points, colors)
    assert local.shape == (6, n)
    assert local.dtype == np.float32
    assert np.linalg.norm(local[:3], axis=0).max() <= 1 + 1e-4
    assert np.abs(local[3:]).max() <= 1
    back = local[:3].T * frame.radius + frame.center
    assert np.abs(back - points).max() <= 1e-5 * size * (1 + abs(place))
    assert np.abs((local[3:].T + 1) / 2 - colors).max() < 1e-6


def test_offsets_are_in_spacings() -> None:
    # A disc of 128 points, evenly spread: each has pi / 128 of its area.
    assert spacing(CellShape()) ** 2 * 128 == pytest.approx(math.pi)
    rng = np.random.default_rng(0)
    anchors, children = rng.normal(size=(2, 6, 9)).astype(np.float32)
    diffused = offsets(children, anchors, CellShape())
    assert np.allclose(anchors[:3] + diffused[:3] * spacing(CellShape()), children[:3], atol=1e-6)
    assert np.array_equal(diffused[3:], children[3:])


@pytest.mark.parametrize("n", [9, 4])
def test_offsets_and_back(n: int) -> None:
    """What the training makes of children is what the sampling makes children of, also of the first n alone."""
    rng, shape = np.random.default_rng(1), CellShape(10, 20, 1)
    points, (colors, near_colors) = rng.normal(3, 2, (9, 3)).astype(np.float32), rng.random((2, 9, 3), np.float32)
    near = points + rng.normal(0, 0.1, (9, 3)).astype(np.float32)
    frame = CellFrame.around(points)
    parents = frame.to_local(points, colors)
    back = _to_world(offsets(frame.to_local(near, near_colors), parents, shape)[:, :n], parents, frame, shape)
    assert back.shape == (n, 6)
    assert np.abs(back - np.concatenate([near, near_colors], axis=1)[:n]).max() < 1e-5


MakeCloud = Callable[..., PointCloud]


def test_new_points_are_near_the_given_surface(capsule: MakeCloud, distance: Callable[[Floats], Floats]) -> None:
    def surface_oracle(x: Tensor, t: Tensor, *, low_res: Tensor) -> Tensor:
        """Half of the way from each anchor to one of its three nearest."""
        here, coarse = x[:, :3].transpose(1, 2).float(), low_res[:, :3].transpose(1, 2).float()
        near = torch.cdist(here, coarse).topk(4, largest=False).indices[..., 1:]
        which = near.gather(2, (torch.arange(x.shape[2]) % 3).expand(len(x), -1)[..., None])[..., 0]
        towards = low_res[:, :3].gather(2, which[:, None].expand(-1, 3, -1)) - x[:, :3]
        target = torch.cat([towards / 2 / spacing(CellShape()), x[:, 3:6]], dim=1)
        return velocity_towards(target.double(), x[:, 6:], t)

    dense = run(capsule(1024), 4096, network=surface_oracle, steps=3)
    off = np.abs(distance(dense.points))
    assert off.max() < 0.03
    assert off.mean() < 0.003
