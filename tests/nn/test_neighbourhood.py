"""The feature of what lies around a point."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from enpointe.nn import neighbourhood
from enpointe.nn.neighbourhood import Neighbourhood, offsets
from enpointe.nn.point_transformer import PointTransformerConfig
from rounding import assert_same_sums


def test_offsets_of_points_on_a_line() -> None:
    points = torch.zeros(1, 4, 5)
    points[0, :, 0] = torch.tensor([0.0, 1.0, 3.0, 7.0])
    points[0, :, 4] = torch.tensor([5.0, 6.0, 7.0, 8.0])
    found = offsets(points, 2)
    assert found.shape == (1, 4, 2, 5)
    assert found[0, :, :, 0].tolist() == [[1, 3], [-1, 2], [-2, -3], [-4, -6]]
    assert found[0, 0, :, 4].tolist() == [1, 2]  # the other channels come along, and do not decide who is near


def test_fewer_points_than_neighbours() -> None:
    assert offsets(torch.randn(2, 4, 6), 16).shape == (2, 4, 3, 6)
    assert Neighbourhood(6, 8, 16)(torch.randn(2, 1, 6)).tolist() == torch.zeros(2, 1, 8).tolist()


def test_moving_a_cloud_changes_nothing() -> None:
    torch.manual_seed(0)
    neighbourhood, points = Neighbourhood(6, 8, 4), torch.randint(-999, 999, (2, 30, 6)) / 256  # exact, also when moved
    torch.nn.init.normal_(neighbourhood.outer.weight)
    moved = points + torch.tensor([1.0, -2.0, 0.5, 0.0, 0.0, 0.0])
    found = neighbourhood(points)
    assert found.abs().max() > 0.1
    assert torch.equal(neighbourhood(moved), found)


@torch.no_grad()
def test_same_neighbours_in_any_batch() -> None:
    points = torch.randn(8, 200, 6)
    together = offsets(points, 16)
    for i in range(len(points)):
        assert torch.equal(offsets(points[i : i + 1], 16)[0], together[i])


@torch.no_grad()
def test_a_guided_pair_s_neighbours_are_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, clouds = Neighbourhood(6, 8, 4), torch.randn(4, 20, 6)
    torch.nn.init.normal_(layer.outer.weight)
    apart = torch.cat([layer(cloud[None]) for cloud in clouds])
    sizes: list[int] = []

    def counting(points: Tensor, k: int) -> Tensor:
        sizes.append(len(points))
        return offsets(points, k)

    monkeypatch.setattr(neighbourhood, "offsets", counting)
    assert_same_sums(layer(torch.cat([clouds, clouds])), torch.cat([apart, apart]), layer)
    assert_same_sums(layer(clouds), apart, layer)
    assert sizes == [4, 4]
    with torch.enable_grad():
        layer(torch.cat([clouds, clouds])).sum().backward()
    assert sizes[2:] == [8]


def test_a_trained_network_can_be_given_one() -> None:
    config = PointTransformerConfig(width=32, layers=1, heads=2, neighbours=4)
    network = config.build()
    torch.nn.init.normal_(network.output_proj.weight)
    assert network.neighbourhood is not None
    x, t = torch.randn(2, 6, 20), torch.tensor([3.0, 700.0])
    with_it = network(x, t)
    network.neighbourhood = None
    assert_same_sums(network(x, t), with_it, network)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_near_is_decided_in_float32(dtype: torch.dtype) -> None:
    points = torch.randn(1, 50, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        found = offsets(points, 3)
    assert found.dtype == torch.float32
    distance = torch.cdist(points[0, :, :3].double(), points[0, :, :3].double())
    assert torch.allclose(found[0, ..., :3].norm(dim=-1).double(), distance.sort(dim=-1).values[:, 1:4], atol=1e-4)
