"""Upsampling by patches: exact counts, no seams, nothing of a patch depends on its company."""

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

from enpointe.errors import InputError
from enpointe.geometry.point_cloud import PointCloud
from enpointe.models.config import PointTransformerConfig
from enpointe.pipeline.patches import PatchFrame, PatchShape, upsample

Floats = NDArray[np.float32]
CPU = torch.device("cpu")
QUARTERS = torch.tensor([[0.25, -0.25, 0.25], [0.25, 0.25, -0.25], [0.0, 0.0, 0.0]])
"""Where a square's three new points lie beside its middle, in sides."""


def velocity_towards(x0: Tensor, x: Tensor, t: Tensor) -> Tensor:
    """The exact velocity at x = cos(a) x0 + sin(a) eps, where t is a as a part of pi/2, times 1000."""
    angle = (t.double() / 1000 * math.pi / 2)[:, None, None]
    return ((angle.cos() * x - x0) / angle.sin()).float()


def square_oracle(x: Tensor, t: Tensor, *, low_res: Tensor) -> Tensor:
    """Knows the dense grid of the plane: around each coarse point the three others of its square."""
    places = low_res[:, :3].transpose(1, 2).double()
    apart = torch.cdist(places, places) + 9 * torch.eye(places.shape[1])
    side = apart.amin((1, 2))
    target = low_res.repeat_interleave(3, dim=2).double()
    target[:, :3] += QUARTERS.double().repeat(1, low_res.shape[2]) * side[:, None, None]
    return velocity_towards(target, x, t)


def random_oracle(x: Tensor, t: Tensor, *, low_res: Tensor) -> Tensor:
    """Each new point is pulled onto the plane z = 0 of its patch, where noise put it; colours to red."""
    angle = (t.double() / 1000 * math.pi / 2)[:, None, None]
    target = x.double() * angle.cos()  # of a standard normal: its own best guess
    target[:, 2] = 0
    target[:, 3:] = torch.tensor([1.0, -1.0, -1.0])[:, None]
    return velocity_towards(target, x, t)


def plane(side: int) -> PointCloud:
    """side^2 points amid the squares of a unit square at z = 0, coloured by place."""
    ticks = (np.arange(side) + 0.5) / side - 0.5
    points = np.stack(np.meshgrid(ticks, ticks, [0.0], indexing="ij"), -1).reshape(-1, 3).astype(np.float32)
    return PointCloud(points, points + np.float32(0.5))


def dense_plane(side: int) -> Floats:
    given = plane(side).points
    offsets = QUARTERS.numpy().T / side
    return np.concatenate([given, *(given + offset for offset in offsets)]).astype(np.float32)


def scattered(n: int, seed: int = 0) -> PointCloud:
    rng = np.random.default_rng(seed)
    return PointCloud(rng.uniform(-0.5, 0.5, (n, 3)).astype(np.float32), rng.random((n, 3), dtype=np.float32))


def run(cloud: PointCloud, n_points: int, network: Any = random_oracle, **options: Any) -> PointCloud:
    options = {"seed": 0, "shape": PatchShape(), "steps": 2, "device": CPU, **options}
    return upsample(network, cloud, n_points, **options)


@pytest.mark.parametrize("n_given", [128, 200, 1024])
@pytest.mark.parametrize("n_points", [1024, 1025, 4095, 4096, 4097, 16_384])
def test_the_given_points_first_and_exactly_so_many(n_given: int, n_points: int) -> None:
    cloud = scattered(n_given)
    dense = run(cloud, n_points)
    assert len(dense) == n_points
    assert dense.points[:n_given].tobytes() == cloud.points.tobytes()
    assert dense.colors[:n_given].tobytes() == cloud.colors.tobytes()


@pytest.mark.parametrize("overlap", [0.01, 0.5, 4.0, 1e6])
def test_any_overlap_gives_the_count(overlap: int) -> None:
    assert len(run(scattered(140), 560, overlap=overlap)) == 560


@pytest.mark.parametrize("shape", [PatchShape(1, 1), PatchShape(5, 7), PatchShape(130, 1)])
def test_any_shape_gives_the_count(shape: PatchShape) -> None:
    for n_points in (130, 131, 1000):
        assert len(run(scattered(130), n_points, shape=shape)) == n_points


def test_same_seed_same_bytes_other_seed_other_points() -> None:
    one, again, other = (run(scattered(200), 900, seed=seed) for seed in (7, 7, 8))
    assert one.points.tobytes() == again.points.tobytes()
    assert one.colors.tobytes() == again.colors.tobytes()
    assert np.abs(one.points[200:] - other.points[200:]).max() > 0.01


@pytest.mark.parametrize("sampler", ["heun", "dpmpp", "ancestral", "dpm2"])
@pytest.mark.parametrize("batch", [1, 5, 16])
def test_the_batch_size_does_not_matter(sampler: str, batch: int) -> None:
    cloud = scattered(1024)  # 16 patches
    whole = run(cloud, 4096, sampler=sampler, steps=4, batch=64)
    parts = run(cloud, 4096, sampler=sampler, steps=4, batch=batch)
    assert np.abs(whole.points - parts.points).max() < 1e-5


def test_patches_do_not_share_noise() -> None:
    drawn: list[Tensor] = []

    def spy(x: Tensor, t: Tensor, *, low_res: Tensor) -> Tensor:
        drawn.extend(x)
        return random_oracle(x, t, low_res=low_res)

    run(scattered(512), 4096, network=spy, steps=1, batch=4)  # 8 patches, then 32
    assert len(drawn) == 40
    likeness = torch.corrcoef(torch.stack(drawn).flatten(1).double()) - torch.eye(40)
    assert likeness.abs().max() < 0.12  # 2,304 numbers each


@pytest.mark.parametrize("seed", range(3))
def test_no_seams_in_a_plane(seed: int) -> None:
    cloud, wanted = plane(32), dense_plane(32)
    dense = run(cloud, 4096, network=square_oracle, seed=seed, steps=3)
    distance, place = cKDTree(wanted).query(dense.points)
    assert distance.max() < 1e-4 / 32
    # A place is found by two patches or more; where the borders are right, just one of these is kept.
    times = np.bincount(place, minlength=len(wanted))
    assert (times[:1024] == 1).all()
    assert (times == 0).mean() < 0.005
    assert times.max() <= 2
    cells = np.floor((dense.points[:, :2] + 0.5) * 8).astype(int).clip(0, 7)
    count = np.bincount(cells[:, 0] * 8 + cells[:, 1], minlength=64)
    assert count.min() >= 58
    assert count.max() <= 70  # 64 in each of 8 x 8 parts, patches being about as large as these
    assert np.abs(dense.colors - cloud.colors[cKDTree(cloud.points).query(dense.points)[1]]).max() < 0.05


def test_no_point_is_left_without_a_patch() -> None:
    seen: list[Tensor] = []

    def spy(x: Tensor, t: Tensor, *, low_res: Tensor) -> Tensor:
        seen.append(low_res)
        return random_oracle(x, t, low_res=low_res)

    # A thin stick beside a ball, so that densities differ; colours say which point is which.
    rng = np.random.default_rng(0)
    points = rng.normal(0, 0.1, (1024, 3)).astype(np.float32)
    points[:200] = np.linspace([-0.5, -0.4, 0.3], [0.5, -0.4, 0.3], 200)
    colors = np.zeros((1024, 3), np.float32)
    colors[:, 0], colors[:, 1] = (np.arange(1024) // 32) / 31, (np.arange(1024) % 32) / 31
    run(PointCloud(points, colors), 2048, network=spy, steps=1)
    red, green, _ = ((torch.cat(seen)[:, 3:] + 1) / 2 * 31).round().int().permute(1, 0, 2)
    assert len(red) == 16
    assert set((red * 32 + green).flatten().tolist()) == set(range(1024))


def test_part_of_a_pass_is_even_too() -> None:
    dense = run(plane(32), 2048, network=square_oracle, steps=2)
    cells = np.floor((dense.points[1024:, :2] + 0.5) * 4).astype(int).clip(0, 3)
    count = np.bincount(cells[:, 0] * 4 + cells[:, 1], minlength=16)
    assert abs(count - 64).max() < 5 * 8  # 1,024 at random into 16 parts: 64 +- 8


def test_two_passes_of_a_plane() -> None:
    dense = run(plane(16), 4096, network=random_oracle, steps=3)
    assert np.abs(dense.points[:, 2]).max() < 1e-3
    assert np.allclose(dense.colors[256:], [1, 0, 0], atol=0.02)


@pytest.mark.parametrize("network_seed", [0, 1])
def test_with_a_network_that_knows_nothing(network_seed: int) -> None:
    torch.manual_seed(network_seed)
    config = PointTransformerConfig(
        width=32, layers=1, heads=2, output_channels=6, time_as_token=False, low_res=True, position_bands=2
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


@pytest.mark.parametrize(("n_given", "n_points"), [(127, 4096), (1, 4096), (128, 127), (1024, 1023), (200, 0)])
def test_wrong_counts(n_given: int, n_points: int) -> None:
    with pytest.raises(InputError, match=r"expected .*at least .* found") as caught:
        run(scattered(n_given), n_points)
    assert "\n" not in str(caught.value)


def test_as_many_as_there_are_is_the_cloud_itself() -> None:
    cloud = scattered(128)
    assert run(cloud, 128).points.tobytes() == cloud.points.tobytes()


@pytest.mark.parametrize("wrong", [{"coarse": 0}, {"ratio": 0}, {"coarse": 12.5}, {"ratio": "3"}])
def test_impossible_patches(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected a whole number above 0"):
        PatchShape(**wrong)


@pytest.mark.parametrize("n_points", [200, 300, 800, 5000])
def test_progress_rises_to_its_total(n_points: int) -> None:
    told: list[tuple[int, int]] = []
    run(scattered(200), n_points, steps=1, batch=3, progress=lambda done, total: told.append((done, total)))
    assert len({total for _, total in told}) == 1
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1]
    assert (told[-1][1] > 0) == (n_points > 200)


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 40), st.floats(1e-3, 1e3), st.floats(-10, 10), st.booleans()
)  # fmt: skip
def test_frames_there_and_back(seed: int, n: int, size: float, place: float, flat: bool) -> None:
    rng = np.random.default_rng(seed)
    points = (rng.normal(size=(n, 3)) * size * [1, 1, not flat] + place * size).astype(np.float32)
    colors = rng.random((n, 3), dtype=np.float32)
    frame = PatchFrame.around(points)
    local = frame.to_local(points, colors)
    assert local.shape == (6, n)
    assert local.dtype == np.float32
    assert np.linalg.norm(local[:3], axis=0).max() <= 1 + 1e-4
    assert np.abs(local[3:]).max() <= 1
    back, back_colors = frame.to_world(local)
    assert np.abs(back - points).max() <= 1e-5 * size * (1 + abs(place))
    assert np.abs(back_colors - colors).max() < 1e-6


def test_a_frame_is_centred_and_of_radius_1() -> None:
    points = np.array([[3, 5, 7], [5, 5, 7], [4, 6, 7], [4, 4, 7]], np.float32)
    frame = PatchFrame.around(points)
    assert np.allclose(frame.centre, [4, 5, 7])
    assert frame.radius == pytest.approx(1)
    local = frame.to_local(points * 1, np.tile(np.float32([0, 0.5, 1]), (4, 1)))
    assert np.allclose(local[:, 1], [1, 0, 0, -1, 0, 1])
    # Colours that a network drew beyond the range are brought back into it.
    local[3:] *= 2
    assert np.allclose(frame.to_world(local)[1], [0, 0.5, 1])


def test_the_network_sees_local_frames() -> None:
    seen: list[Tensor] = []

    def spy(x: Tensor, t: Tensor, *, low_res: Tensor) -> Tensor:
        seen.append(low_res)
        return random_oracle(x, t, low_res=low_res)

    run(scattered(512), 600, network=spy, steps=1)
    coarse = torch.cat(seen)
    assert coarse.shape == (8, 6, 128)
    assert torch.allclose(coarse[:, :3].mean(2), torch.zeros(8, 3), atol=1e-5)
    assert torch.allclose(coarse[:, :3].norm(dim=1).amax(1), torch.ones(8), atol=1e-5)


MakeCloud = Callable[..., PointCloud]


def test_new_points_are_near_the_given_surface(capsule: MakeCloud, distance: Callable[[Floats], Floats]) -> None:
    def surface_oracle(x: Tensor, t: Tensor, *, low_res: Tensor) -> Tensor:
        """Midpoints of each coarse point and its three nearest."""
        places = low_res[:, :3].transpose(1, 2).float()
        near = torch.cdist(places, places).topk(4, largest=False).indices[..., 1:].flatten(1)
        ends = torch.gather(low_res, 2, near[:, None].expand(-1, 6, -1))
        return velocity_towards((low_res.repeat_interleave(3, dim=2) + ends) / 2, x, t)

    dense = run(capsule(1024), 4096, network=surface_oracle, steps=3)
    off = np.abs(distance(dense.points))
    assert off.max() < 0.03
    assert off.mean() < 0.003
