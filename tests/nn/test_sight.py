"""What queries see of a cloud: lines of sight against a walk cell by cell, interpolation, nearest points."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from enpointe.nn.sight import DIRECTIONS, HALF, SightSDFConfig, at_queries, lines_of_sight, nearest_offsets
from rounding import assert_same_sums


def middles(cells: int) -> Tensor:
    """(3, cells^3), the last axis fastest."""
    along = (torch.arange(cells) + 0.5) * (2 * HALF / cells) - HALF
    return torch.stack(torch.meshgrid(along, along, along, indexing="ij")).flatten(1)


@pytest.mark.slow
def test_lines_of_sight_are_what_a_walk_sees() -> None:
    cells = 6
    points = torch.rand(2, 3, 25, generator=torch.Generator().manual_seed(0)) * 2 * HALF - HALF
    seen = lines_of_sight(points, cells).bool()
    held = seen[:, -1]
    for cloud, places in zip(held, ((points / (2 * HALF) + 0.5) * cells).long(), strict=True):
        assert {tuple(place) for place in cloud.nonzero().tolist()} == {tuple(place) for place in places.T.tolist()}
    for index, direction in enumerate(DIRECTIONS):
        for cell in np.ndindex(cells, cells, cells):
            at = np.add(cell, direction)
            blocked = [False, False]
            while ((at >= 0) & (at < cells)).all():
                blocked = [bool(b or cloud[tuple(at)]) for b, cloud in zip(blocked, held, strict=True)]
                at = at + direction
            assert seen[:, index][(slice(None), *cell)].tolist() == blocked, (direction, cell)


def test_directions_go_both_ways() -> None:
    assert len(set(DIRECTIONS)) == 26
    assert {tuple(-step for step in direction) for direction in DIRECTIONS} == set(DIRECTIONS)


def test_points_beyond_the_cube_count_at_its_border() -> None:
    far = torch.tensor([[[9.0], [0.0], [-9.0]]])
    assert lines_of_sight(far, 4)[0, -1].nonzero().tolist() == [[3, 2, 0]]


def test_a_grid_is_read_between_the_middles_of_its_cells() -> None:
    """A linear function is itself between them; beyond the outermost ones it stays."""
    cells, slope = 8, torch.tensor([1.0, -2.0, 3.0])
    grid = (slope @ middles(cells)).view(1, 1, cells, cells, cells)
    inner = HALF * (1 - 1 / cells)
    queries = torch.rand(1, 3, 200, generator=torch.Generator().manual_seed(0)) * 2 * inner - inner
    assert torch.allclose(at_queries(grid, queries)[0, :, 0], slope @ queries[0], atol=1e-5)
    corner = torch.full((1, 3, 1), 5.0)
    assert at_queries(grid, corner).item() == pytest.approx(float(slope.sum()) * inner, abs=1e-5)


@pytest.mark.parametrize("k", [1, 4, 30])
def test_nearest_offsets(k: int) -> None:
    rng = np.random.default_rng(k)
    points, queries = (rng.uniform(-0.5, 0.5, (2, n, 3)).astype(np.float32) for n in (30, 50))
    found = nearest_offsets(torch.from_numpy(points).mT, torch.from_numpy(queries).mT, k)
    assert found.shape == (2, 50, k, 3)
    for cloud, asked, offsets in zip(points, queries, found.numpy(), strict=True):
        distance, index = cKDTree(cloud).query(asked, k=range(1, k + 1))
        assert np.abs(np.linalg.norm(offsets, axis=-1) - distance).max() < 1e-3
        assert (np.abs(offsets - (cloud[index] - asked[:, None])).max(-1) < 1e-6).mean() > 0.99  # two may be as near


@torch.no_grad()
def test_clouds_are_sets_and_queries_are_alone() -> None:
    torch.manual_seed(0)
    network = SightSDFConfig(width=16, layers=2, nearest=3, grids=(4, 6)).build()
    points, queries = torch.rand(2, 3, 30) - 0.5, torch.rand(2, 3, 9) - 0.5

    def distances(points: Tensor, queries: Tensor) -> Tensor:
        return network.decode(network.encode(points), queries, nearest_offsets(points, queries, 3))

    y = distances(points, queries)
    assert y.shape == (2, 9)
    assert_same_sums(distances(points[..., torch.randperm(30)], queries), y, network)
    assert_same_sums(distances(points, queries[..., 4:6]), y[:, 4:6], network)
    assert_same_sums(distances(points.flip(0), queries.flip(0)).flip(0), y, network)
    assert y.std() > 1e-3
