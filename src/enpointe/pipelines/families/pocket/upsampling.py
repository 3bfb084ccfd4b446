"""Upsampling around anchors: every coarse point gets children of its own.

A coarse cloud is cut into cells of neighboring points. The network sees a cell with what surrounds
it (the context), in a frame of its own, and draws for each point of the cell (an anchor) a few new
points close by. What is drawn is the offset from the anchor, in units of the local spacing: a new
point cannot stray, cells meet without a seam, the number of new points is exact, the cost grows with
the number of points and not with its square, and the same network goes on to any density.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from enpointe.core.errors import InputError
from enpointe.core.precision import fast_dtype
from enpointe.diffusion.denoiser import Network, VelocityDenoiser
from enpointe.diffusion.noise import SeededNoise
from enpointe.diffusion.sampler import make_sampler
from enpointe.diffusion.schedule import KarrasSchedule
from enpointe.geometry.point_cloud import PointCloud
from enpointe.pipelines.stage import Stage

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]

SIGMA_MIN, SIGMA_MAX = 0.02, 20.0


@dataclass(frozen=True)
class CellShape:
    """How many anchors a cell has, how many points its context has (the anchors among them), children of an anchor."""

    anchors: int = 64
    context: int = 128
    children: int = 3

    def __post_init__(self) -> None:
        whole = all(isinstance(n, int) for n in vars(self).values())
        if not whole or not (1 <= self.anchors <= self.context and self.children >= 1):
            raise InputError(f"cell: expected whole numbers, 1 <= anchors <= context, 1 <= children, found {self}")


@dataclass(frozen=True)
class CellFrame:
    """A cell's own frame: local = (points - center) / radius."""

    center: Floats
    radius: float

    @classmethod
    def around(cls, context: Floats) -> CellFrame:
        """The frame of a context's points (k, 3): their mean, and the farthest one's distance."""
        center = context.mean(0)
        return cls(center, max(float(np.linalg.norm(context - center, axis=1).max()), 1e-6))

    def to_local(self, points: Floats, colors: Floats) -> Floats:
        """points (n, 3), colors (n, 3) in [0, 1] -> (6, n) in about [-1, 1]."""
        return np.concatenate([(points - self.center) / self.radius, colors * 2 - 1], axis=1).T.astype(np.float32)


def spacing(shape: CellShape) -> float:
    """The distance, in a cell's frame, between neighbors if its context covered a disc evenly."""
    return float(np.sqrt(np.pi / shape.context))


def offsets(children: Floats, anchors: Floats, shape: CellShape) -> Floats:
    """Children (6, n) and their anchors (6, n), local -> what is diffused: offsets in spacings, and colors."""
    return np.concatenate([(children[:3] - anchors[:3]) / spacing(shape), children[3:]])


def anchored(network: Network) -> Network:
    """A network of 12 channels as one of 6 with one more condition, `anchors` (N, 6, P).

    They come first: it is the anchors' positions whose sine features tell who is near whom.
    """

    def with_anchors(x_t: Tensor, t: Tensor, /, *, anchors: Tensor, **cond: Any) -> Tensor:
        return network(torch.cat([anchors.to(x_t), x_t], dim=1), t, **cond)

    return with_anchors


def cells(points: Floats, size: int) -> list[Indices]:
    """The points' indices in groups of at most `size` neighbors: halved along the longest axis till they fit."""
    groups: list[Indices] = []

    def halve(indices: Indices) -> None:
        if len(indices) <= size:
            groups.append(indices)
            return
        part = points[indices]
        order = np.argsort(part[:, np.ptp(part, axis=0).argmax()], kind="stable")
        # A multiple of the size on one side leaves as few partly filled cells as there can be.
        n_cells = -(-len(indices) // size)
        cut = n_cells // 2 * size
        halve(indices[order[:cut]])
        halve(indices[order[cut:]])

    halve(np.arange(len(points)))
    return groups


def surroundings(tree: cKDTree, points: Floats, cell: Indices, shape: CellShape) -> Indices:
    """Indices (context,) of a cell's points and of those nearest to their mean, filled up by repeating."""
    k = min(len(points), shape.context + len(cell))
    near = tree.query(points[cell].mean(0), k=k)[1]
    others = near[~np.isin(near, cell)]
    return np.resize(np.concatenate([cell, others])[: shape.context], shape.context)


def upsample(
    network: Network,
    cloud: PointCloud,
    n_points: int,
    *,
    seed: int,
    shape: CellShape,
    steps: int = 6,
    sampler: str = "dpmpp",
    device: torch.device,
    dtype: torch.dtype | None = None,
    batch: int = 16,
    progress: Callable[[int, int], None] | None = None,
) -> PointCloud:
    """A cloud of `n_points` points: first those given, as they are, then new ones.

    Each pass makes the cloud up to 1 + children times as dense; more points take more passes.

    Args:
        network: (N, 12, P) noisy offsets and colors with their anchors, t, low_res -> (N, 6, P).
        cloud: at least two points, in any frame.
        seed: 0 or above.
        dtype: what the network computes its products in; by default the faster one on the device.
        batch: cells at a time. Each cell has noise of its own: they do not depend on it.
        progress: receives how many new points are drawn, of how many in all.

    Raises:
        InputError: fewer points wanted than given.
    """
    if n_points < len(cloud):
        raise InputError(f"n_points: expected at least {len(cloud)}, as many as the cloud has, found {n_points}")
    stage = Stage(
        VelocityDenoiser(anchored(network), clip_denoised=False),
        make_sampler(sampler),
        KarrasSchedule(SIGMA_MIN, SIGMA_MAX),
        steps,
        (6, shape.anchors * shape.children),
        dtype=fast_dtype(device) if dtype is None else dtype,
    )
    rng = np.random.default_rng(seed)
    total = n_points - len(cloud)
    missing = total
    while missing > 0:
        wanted = min(missing, len(cloud) * shape.children)
        made: list[Floats] = []
        for part in _children(stage, cloud, shape, rng, device, batch):
            made.append(part)
            if progress is not None:
                progress(min(total - missing + sum(map(len, made)), total), total)
        new = np.concatenate(made)
        new = new[np.sort(rng.permutation(len(new))[:wanted])]
        cloud = PointCloud(
            np.concatenate([cloud.points, new[:, :3]]), np.concatenate([cloud.colors, new[:, 3:].clip(0, 1)])
        )
        missing = n_points - len(cloud)
    return cloud


def _children(
    stage: Stage, cloud: PointCloud, shape: CellShape, rng: np.random.Generator, device: torch.device, batch: int
) -> Iterator[Floats]:
    """New points with their colors, (n, 6) for each batch of cells; `children` for each point of the cloud."""
    points, colors = cloud.points, cloud.colors
    tree = cKDTree(points)
    groups = cells(points, shape.anchors)
    seeds = rng.integers(2**63, size=len(groups), dtype=np.uint64).tolist()
    for start in range(0, len(groups), batch):
        part = groups[start : start + batch]
        contexts = [surroundings(tree, points, cell, shape) for cell in part]
        frames = [CellFrame.around(points[context]) for context in contexts]
        low_res = np.stack([f.to_local(points[c], colors[c]) for f, c in zip(frames, contexts, strict=True)])
        # A cell with fewer points than others repeats some; their children are not kept.
        parents = np.stack(
            [
                f.to_local(points[full], colors[full]).repeat(shape.children, axis=1)
                for f, full in zip(frames, (np.resize(cell, shape.anchors) for cell in part), strict=True)
            ]
        )
        cond = {"low_res": torch.from_numpy(low_res).to(device), "anchors": torch.from_numpy(parents).to(device)}
        *_, last = stage.run(cond, SeededNoise(seeds[start : start + batch], device), n_samples=len(part))
        drawn = last.x.float().cpu().numpy()
        yield np.concatenate(
            [
                _to_world(local[:, : len(cell) * shape.children], parent, frame, shape)
                for local, parent, frame, cell in zip(drawn, parents, frames, part, strict=True)
            ]
        )


def _to_world(drawn: Floats, parents: Floats, frame: CellFrame, shape: CellShape) -> Floats:
    """Offsets and colors (6, n) of the first n children -> points and colors (n, 6)."""
    local = parents[:3, : drawn.shape[1]] + drawn[:3] * spacing(shape)
    points = local.T * frame.radius + frame.center
    return np.concatenate([points, (drawn[3:].T + 1) / 2], axis=1).astype(np.float32)
