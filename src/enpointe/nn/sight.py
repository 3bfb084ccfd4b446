"""A signed-distance network that looks around itself: along lines of sight, and at its nearest points.

Whether a place lies inside of what a cloud outlines shows in how many directions the cloud hides from it: all of them
deep inside, few far outside. Together with the offsets to the nearest points, which tell the distance, that is nearly
the whole answer, and a small network over these features learns the rest in minutes. The transformer of
`nn.sdf.SDFTransformer` has to find both out from bare coordinates.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from enpointe.nn.network import NetworkConfig, network

HALF = 0.6
"""Half the side of the cube that the grids fill: the unit frame and a margin."""
DIRECTIONS = tuple(d for d in itertools.product((-1, 0, 1), repeat=3) if any(d))
"""Along the axes and the diagonals: to the 26 cells around one."""
OFFSET_SCALE = 8.0
"""Brings offsets to the nearest points, mostly below 0.1, to about unit size."""


def nearest_offsets(
    points: Float[Tensor, "n 3 p"], queries: Float[Tensor, "n 3 q"], k: int
) -> Float[Tensor, "n q {k} 3"]:
    """Offsets (N, Q, k, 3) from queries (N, 3, Q) to their k nearest of points (N, 3, P), nearest first."""
    clouds, at = points.transpose(1, 2), queries.transpose(1, 2)
    index = torch.cdist(at, clouds).topk(k, dim=-1, largest=False).indices
    near = clouds[:, None].expand(-1, at.shape[1], -1, -1).gather(2, index[..., None].expand(-1, -1, -1, 3))
    return near - at[:, :, None]


def lines_of_sight(points: Float[Tensor, "n 3 p"], cells: int) -> Float[Tensor, "n 27 {cells} {cells} {cells}"]:
    """In which directions a cloud stands in the way.

    Args:
        points: (N, 3, P) in the unit frame.
        cells: along each side of the grid.

    Returns:
        (N, 27, cells, cells, cells) of zeros and ones. Of each cell: for each of `DIRECTIONS` whether a cell farther
        along it holds a point; and whether the cell itself does.
    """
    x, y, z = ((points / (2 * HALF) + 0.5) * cells).long().clamp(0, cells - 1).unbind(1)
    held = points.new_zeros(len(points), cells, cells, cells)
    held.view(len(points), -1).scatter_(1, (x * cells + y) * cells + z, 1.0)
    seen = points.new_zeros(len(points), len(DIRECTIONS) + 1, cells, cells, cells)
    seen[:, -1] = held
    for index, direction in enumerate(DIRECTIONS):
        _look(held, seen[:, index], direction)
    return seen


def _look(held: Tensor, seen: Tensor, direction: tuple[int, ...]) -> None:
    """Fills `seen` (N, cells, cells, cells): a cell sees what its next one holds, and all that this one sees."""
    axis = next(axis for axis, step in enumerate(direction) if step)
    held, seen = held.movedim(axis + 1, 1), seen.movedim(axis + 1, 1)
    step, (a, b) = direction[axis], [direction[other] for other in range(3) if other != axis]
    cells = held.shape[1]
    for layer in range(cells - 2, -1, -1) if step > 0 else range(1, cells):
        beyond = torch.maximum(seen[:, layer + step], held[:, layer + step])
        if a or b:
            beyond = F.pad(beyond, (1, 1, 1, 1))[:, 1 + a : 1 + a + cells, 1 + b : 1 + b + cells]
        seen[:, layer] = beyond


def at_queries(grid: Float[Tensor, "n c r r r"], queries: Float[Tensor, "n 3 q"]) -> Float[Tensor, "n q c"]:
    """A grid (N, C, R, R, R) at queries (N, 3, Q), trilinear between the middles of cells: (N, Q, C)."""
    where = (queries / HALF).transpose(1, 2)[:, None, None].flip(-1)  # grid_sample's last axis is the first of where
    sampled = F.grid_sample(grid, where, padding_mode="border", align_corners=False)
    return sampled[:, :, 0, 0].transpose(1, 2)


@network
@dataclass(frozen=True)
class SightSDFConfig(NetworkConfig):
    """Arguments of `SightSDF`."""

    kind: ClassVar[str] = "sight_sdf"
    width: int
    layers: int
    nearest: int
    grids: tuple[int, ...]

    def build(self) -> SightSDF:
        return SightSDF(**vars(self))


class SightSDF(nn.Module):
    """Signed distances by a small network over what each query sees of a cloud.

    Args:
        width, layers: of the network.
        nearest: how many of the cloud's nearest points each query is shown, as offsets and distances.
        grids: cells along a side of each grid of `lines_of_sight`; coarse ones close the gaps between the points of
            sparse clouds, fine ones see details of dense ones.
    """

    def __init__(self, *, width: int, layers: int, nearest: int, grids: Sequence[int]) -> None:
        super().__init__()
        self.nearest = nearest
        self.grids = tuple(grids)
        size = 3 + 4 * nearest + (len(DIRECTIONS) + 1) * len(self.grids)
        sizes = [size, *[width] * layers]
        hidden = [(nn.Linear(a, b), nn.GELU()) for a, b in itertools.pairwise(sizes)]
        self.mlp = nn.Sequential(*itertools.chain.from_iterable(hidden), nn.Linear(width, 1))

    def encode(self, points: Float[Tensor, "n 3 p"]) -> list[Float[Tensor, "n 27 r r r"]]:
        """Clouds (N, 3, P) in the unit frame -> the grids, for any number of queries."""
        return [lines_of_sight(points.float(), cells) for cells in self.grids]

    def observe(
        self, grids: Sequence[Tensor], queries: Float[Tensor, "n 3 q"], nearest: Float[Tensor, "n q k 3"]
    ) -> Float[Tensor, "n q features"]:
        """What queries (N, 3, Q) see: features (N, Q, F).

        Args:
            grids: from `encode`.
            nearest: offsets (N, Q, nearest, 3) from each query to its nearest points, nearest first.
        """
        distance = torch.linalg.vector_norm(nearest, dim=-1, keepdim=True)
        near = torch.cat([nearest, distance], dim=-1).flatten(2) * OFFSET_SCALE
        sights = [at_queries(grid, queries) - 0.5 for grid in grids]
        return torch.cat([queries.transpose(1, 2), near, *sights], dim=-1)

    def decode(
        self, grids: Sequence[Tensor], queries: Float[Tensor, "n 3 q"], nearest: Float[Tensor, "n q k 3"]
    ) -> Float[Tensor, "n q"]:
        """Signed distances (N, Q), positive inside; the arguments are those of `observe`."""
        distances: Tensor = self(self.observe(grids, queries, nearest))
        return distances

    def forward(self, features: Float[Tensor, "*queries features"]) -> Float[Tensor, "*queries"]:
        """Features (N, Q, F), from `observe` -> signed distances (N, Q), positive inside."""
        return self.mlp(features).squeeze(-1) / OFFSET_SCALE
