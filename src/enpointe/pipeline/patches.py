"""Upsampling by overlapping patches: a small network adds detail wherever it is laid.

A patch is a coarse point with its nearest fellows, in a frame of its own (centre and radius taken
out). The network draws new points for each patch; of these, each patch keeps the ones that lie
nearer to its own centre than to any other's, so that neighbours meet without a seam. The cost grows
with the number of points, not with its square, and the same network goes on to any density.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from enpointe.diffusion.denoiser import Network, VelocityDenoiser
from enpointe.diffusion.noise import SeededNoise
from enpointe.diffusion.schedule import karras_sigmas
from enpointe.diffusion.solvers import solver
from enpointe.geometry.point_cloud import PointCloud
from enpointe.geometry.subsample import farthest_point

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class PatchShape:
    """How patches are cut: `coarse` points in, `ratio` times as many new ones out."""

    coarse: int = 128
    ratio: int = 3

    @property
    def fine(self) -> int:
        return self.coarse * self.ratio


@dataclass(frozen=True)
class PatchFrame:
    """A patch's own frame: local = (points - centre) / radius."""

    centre: Floats
    radius: float

    @classmethod
    def around(cls, points: Floats) -> PatchFrame:
        """The frame of a patch's coarse points (k, 3): their mean, and the farthest one's distance."""
        centre = points.mean(0)
        return cls(centre, max(float(np.linalg.norm(points - centre, axis=1).max()), 1e-6))

    def to_local(self, points: Floats, colors: Floats) -> Floats:
        """points (n, 3), colors (n, 3) in [0, 1] -> (6, n) in about [-1, 1]."""
        return np.concatenate([(points - self.centre) / self.radius, colors * 2 - 1], axis=1).T.astype(np.float32)

    def to_world(self, local: Floats) -> tuple[Floats, Floats]:
        """(6, n) -> points (n, 3), colors (n, 3) in [0, 1]."""
        colors: Floats = ((local[3:].T + 1) / 2).clip(0, 1).astype(np.float32)
        return local[:3].T * self.radius + self.centre, colors


def upsample(
    network: Network,
    cloud: PointCloud,
    n_points: int,
    *,
    seed: int,
    shape: PatchShape,
    steps: int = 8,
    sampler: str = "dpmpp",
    overlap: float = 2.0,
    device: torch.device,
    batch: int = 16,
    progress: Callable[[int, int], None] | None = None,
) -> PointCloud:
    """A cloud of `n_points` points that holds the given one.

    Each pass makes the cloud up to 1 + ratio times as dense; more points take more passes.

    Args:
        cloud: at least `shape.coarse` points, in the unit frame.
        overlap: how many patches cover a point on average; seams vanish from about 2.
        batch: patches at a time.
    """
    seeds = np.random.SeedSequence(seed)
    while len(cloud.points) < n_points:
        target = min(n_points, len(cloud.points) * (1 + shape.ratio))
        pass_seed = int(seeds.spawn(1)[0].generate_state(1, np.uint64)[0] >> 1)
        cloud = _one_pass(network, cloud, target, pass_seed, shape, steps, sampler, overlap, device, batch, progress)
    return cloud


def _one_pass(
    network: Network, cloud: PointCloud, target: int, seed: int, shape: PatchShape, steps: int, sampler: str,
    overlap: float, device: torch.device, batch: int, progress: Callable[[int, int], None] | None,
) -> PointCloud:  # fmt: skip
    points, colors = cloud.points, cloud.colors
    rng = np.random.default_rng(seed)
    n_patches = max(1, round(overlap * len(points) / shape.coarse))
    centres = points[farthest_point(points, n_patches, start=int(rng.integers(len(points))))]
    _, members = cKDTree(points).query(centres, k=shape.coarse)
    frames = [PatchFrame.around(points[member]) for member in members]
    coarse = np.stack([frame.to_local(points[m], colors[m]) for frame, m in zip(frames, members, strict=True)])
    noise = SeededNoise([seed], device)((1, n_patches, 6, shape.fine))[0]
    made = torch.cat(
        [
            _draw(network, torch.from_numpy(part).to(device), start, steps, sampler, seed)
            for part, start in zip(np.split(coarse, range(batch, n_patches, batch)), noise.split(batch), strict=True)
        ]
    )
    if progress is not None:
        progress(len(cloud.points), target)
    new = [frame.to_world(local) for frame, local in zip(frames, made.cpu().numpy(), strict=True)]
    new_points, new_colors = np.concatenate([p for p, _ in new]), np.concatenate([c for _, c in new])
    owner = np.repeat(np.arange(n_patches), shape.fine)
    distance, nearest = cKDTree(centres).query(new_points)
    # A patch's own points first, then those that strayed over a border, nearest to their own centre
    # first; only as many of these as are needed.
    own = nearest == owner
    stray = np.linalg.norm(new_points - centres[owner], axis=1) - distance
    order = np.lexsort((rng.random(len(own)), np.where(own, 0.0, stray)))
    pick = order[: target - len(points)]
    return PointCloud(
        np.concatenate([points, new_points[pick]]).astype(np.float32),
        np.concatenate([colors, new_colors[pick]]).clip(0, 1).astype(np.float32),
    )


@torch.inference_mode()
def _draw(network: Network, coarse: Tensor, noise: Tensor, steps: int, sampler: str, seed: int) -> Tensor:
    """New points (n, 6, fine) for patches (n, 6, coarse), all in their local frames."""
    denoiser = VelocityDenoiser(network, clip_denoised=False)
    sigmas = karras_sigmas(steps, 0.01, 30.0)

    def bound(x: Tensor, sigma: float | Tensor, /) -> Tensor:
        return denoiser(x, sigma, low_res=coarse)

    more = SeededNoise([seed + i for i in range(len(coarse))], coarse.device)
    with torch.autocast(coarse.device.type, dtype=torch.bfloat16, enabled=coarse.device.type in ("cpu", "cuda")):
        *_, last = solver(sampler)(bound, noise * float(sigmas[0]), sigmas, noise=more)
    return last.x.float()
