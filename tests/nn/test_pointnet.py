"""PointNet++: the release's numbers, and its sampling and grouping against plain loops."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from enpointe.nn import pointnet2
from enpointe.nn.pointnet2 import PointNet2, ball_query, farthest_points
from rounding import assert_same_sums

Read = Callable[[str], tuple[dict[str, Tensor], dict[str, Any]]]
TOLERANCE = 2e-5


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sphere(batch: int, n_points: int, seed: int = 0) -> Tensor:
    """(batch, n_points, 3) on the unit sphere."""
    return torch.nn.functional.normalize(torch.randn(batch, n_points, 3, generator=generator(seed)), dim=-1)


def small() -> PointNet2:
    """A narrow network with weights and running statistics that are not trivial."""
    torch.manual_seed(5)
    network = PointNet2(classes=7, width=0.125, samples=(32, 12), radii=(0.5, 0.9), neighbours=(48, 32)).eval()
    for name, buffer in network.named_buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 2) if name.endswith("var") else buffer.normal_()
    return network


@pytest.mark.golden
@torch.no_grad()
def test_golden(golden: Read) -> None:
    tensors, about = golden("pointnet")
    network = PointNet2(classes=int(about["num_class"]), width=float(about["width_mult"])).eval()
    network.load_state_dict({key[2:]: value for key, value in tensors.items() if key.startswith("w.")})
    points = tensors["normalized"].transpose(1, 2)
    output = network(points, torch.arange(len(points)))
    assert relative_error(output.log_probs, tensors["log_probs"]) < TOLERANCE
    assert relative_error(output.features, tensors["features"]) < TOLERANCE


@pytest.mark.golden
def test_released_checkpoint_fits(golden_folder: Path) -> None:
    manifest = json.loads((golden_folder / "manifests.json").read_text())["pointnet"]
    with torch.device("meta"):
        state = PointNet2().state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == manifest.get("model_state_dict", manifest)


def test_farthest_points_of_a_line() -> None:
    line = torch.zeros(2, 9, 3)
    line[..., 0] = torch.arange(9.0)
    found = farthest_points(line, 5, torch.tensor([0, 10]))  # 10 modulo 9 is 1
    assert found.tolist() == [[0, 8, 4, 2, 6], [1, 8, 4, 6, 0]]  # of equally far points the lowest index


def test_farthest_points_are_the_farthest() -> None:
    points = sphere(3, 60)
    chosen = farthest_points(points, 20, torch.tensor([0, 1, 2]))
    for cloud, index in zip(points, chosen, strict=True):
        assert len(set(index.tolist())) == 20
        distances = torch.cdist(cloud, cloud[index])
        for count in range(1, 20):
            nearest = distances[:, :count].amin(dim=1)
            assert nearest[index[count]] == pytest.approx(float(nearest.max()), rel=1e-5)


def test_ball_query_takes_the_first_within() -> None:
    points = sphere(2, 200)
    centers = points[:, :15]
    near, count = ball_query(points, centers, 0.3, 5)
    for cloud in range(2):
        inside = torch.cdist(centers[cloud], points[cloud]) <= 0.3
        for center in range(15):
            expected = inside[center].nonzero().squeeze(1).tolist()[:5]
            assert count[cloud, center] == len(expected)
            padded = expected + [expected[0]] * (5 - len(expected))
            assert near[cloud, center].tolist() == padded
    assert count.min() < 5  # both cases were there
    assert (count == 5).any()


@torch.no_grad()
def test_order_of_points_does_not_matter_where_no_ball_overflows() -> None:
    network, points = small(), sphere(2, 80)
    order = torch.randperm(80, generator=generator())
    assert ball_query(points, points, 0.5, 48)[1].max() < 48
    place = order.argsort()  # of each point in the new order

    # One level, from the same point under its new index: the same centers, in the same order.
    moved, level = points[:, order], network.sa1
    one, two = level.group(moved, place[[17, 17]]), level.group(points, torch.tensor([17, 17]))
    torch.testing.assert_close(one.centers, two.centers)
    assert_same_sums(level(moved, None, one), level(points, None, two), level)

    # The whole network starts at the first point, so that one stays first.
    order = torch.cat([torch.zeros(1, dtype=torch.long), 1 + torch.randperm(79, generator=generator())])
    for found, expected in zip(network(points[:, order].mT), network(points.mT), strict=True):
        assert_same_sums(found, expected, network)


@torch.no_grad()
def test_a_cloud_is_alone_in_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    network, points = small(), sphere(4, 100)
    together = network(points.mT)
    monkeypatch.setattr(pointnet2, "BLOCK", 10**9)
    for i in range(4):
        alone = network(points[i : i + 1].mT)
        assert_same_sums(alone.features[0], together.features[i], network)
    moved = network(points.mT, torch.tensor([1, 2, 3, 4]))
    assert not torch.allclose(moved.features, together.features)


@torch.no_grad()
def test_few_points() -> None:
    output = small()(sphere(2, 1).mT)
    assert output.features.shape == (2, 32)
    assert_same_sums(output.log_probs.exp().sum(dim=1), torch.ones(2), output.log_probs.shape[1])


def test_training_counts_repeats_and_learns() -> None:
    """In training the statistics are of all places, as a plain convolution and batch norm would have them."""
    network, points = small(), sphere(3, 50)
    level = network.sa1.train()
    before = [buffer.clone() for buffer in level.mlp_bns[0].buffers()]
    start = torch.zeros(3, dtype=torch.long)
    level(points, None, level.group(points, start))
    index = farthest_points(points, level.samples, start)
    centers = points.gather(1, index[..., None].expand(-1, -1, 3))
    near, _ = ball_query(points, centers, level.radius, level.neighbours)
    offsets = torch.stack([cloud[i] for cloud, i in zip(points, near, strict=True)]) - centers[:, :, None]
    values = level.mlp_convs[0](offsets.permute(0, 3, 1, 2)).transpose(0, 1).flatten(1)
    assert_same_sums(
        level.state_dict()["mlp_bns.0.running_mean"], 0.9 * before[0] + 0.1 * values.mean(dim=1), values.shape[1]
    )

    network.train()
    loss = torch.nn.functional.nll_loss(network(points.mT).log_probs, torch.tensor([0, 1, 2]))
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    first = dict(network.named_parameters())["sa1.mlp_convs.0.weight"].grad
    assert first is not None
    assert first.any()
