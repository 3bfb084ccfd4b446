"""The order of a cloud's points by medians."""

from __future__ import annotations

import pytest
import torch

from enpointe.core.errors import InputError
from enpointe.nn.kd_order import kd_order


def test_a_grid_is_ordered_by_its_coordinates() -> None:
    """Eight corners of a cube: z decides the first half, then x, then y."""
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)  # z, x, y
    points = corners[:, [1, 2, 0]].T[None]
    shuffled = points[..., torch.randperm(8, generator=torch.Generator().manual_seed(0))]
    ordered = shuffled.gather(2, kd_order(shuffled)[:, None].expand(-1, 3, -1))
    torch.testing.assert_close(ordered, points)


def test_each_half_lies_on_its_side_of_the_median() -> None:
    points = torch.randn(2, 3, 64, generator=torch.Generator().manual_seed(1))
    order = kd_order(points)
    assert torch.equal(order.sort(dim=1).values, torch.arange(64).expand(2, 64))
    z = points[:, 2].gather(1, order)
    x = points[:, 0].gather(1, order)
    assert (z[:, :32].amax(1) <= z[:, 32:].amin(1)).all()
    assert (x[:, :16].amax(1) <= x[:, 16:32].amin(1)).all()
    assert (x[:, 32:48].amax(1) <= x[:, 48:].amin(1)).all()


def test_a_leaf_is_one_of_the_same_groups() -> None:
    points = torch.randn(1, 3, 64, generator=torch.Generator().manual_seed(2))
    whole, leaves = kd_order(points)[0].view(8, 8), kd_order(points, leaf=8)[0].view(8, 8)
    assert torch.equal(whole.sort(dim=1).values, leaves.sort(dim=1).values)


@pytest.mark.parametrize(("n", "leaf"), [(48, 1), (64, 6), (0, 1), (4, 8)])
def test_other_numbers_of_points_are_refused(n: int, leaf: int) -> None:
    with pytest.raises(InputError, match=f"power of two.* found {n}"):
        kd_order(torch.zeros(1, 3, n), leaf)
