"""Upsampling by overlapping patches: a small network adds detail wherever it is laid.

A patch is a coarse point with its nearest fellows, in a frame of its own (centre and radius taken
out). The network draws new points for each patch; of these, each patch keeps the ones that lie
deeper in it than in any other, so that neighbours meet without a seam. The cost grows with the
number of points, not with its square, and the same network goes on to any density.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from enpointe.errors import InputError
from enpointe.geometry.point_cloud import PointCloud

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class PatchShape:
    """How patches are cut: `coarse` points in, `ratio` times as many new ones out."""

    coarse: int = 128
    ratio: int = 3

    def __post_init__(self) -> None:
        for name, value in (("coarse", self.coarse), ("ratio", self.ratio)):
            if not isinstance(value, int) or value < 1:
                raise InputError(f"{name} of a patch: expected a whole number above 0, found {value!r}")

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
    """A cloud of `n_points` points: first those given, as they are, then new ones.

    Each pass makes the cloud up to 1 + ratio times as dense; more points take more passes.

    Args:
        cloud: at least `shape.coarse` points, in the unit frame.
        seed: 0 or above.
        overlap: how many patches cover a point on average; seams vanish from about 2.
        batch: patches at a time. Each patch has noise of its own: they do not depend on it.
        progress: told how many patches are drawn, of how many in all passes.

    Raises:
        InputError: fewer than `shape.coarse` points, or fewer wanted than given.
    """
    if len(cloud) < shape.coarse:
        raise InputError(f"upsample: expected a cloud of at least {shape.coarse} points, found {len(cloud)}")
    if n_points < len(cloud):
        raise InputError(f"n_points: expected at least {len(cloud)}, as many as the cloud has, found {n_points}")
    rng = np.random.default_rng(seed)
    plan = _plan(len(cloud), n_points, shape, overlap)
    done, total = 0, sum(n_patches for _, n_patches in plan)

    def draw(coarse: Floats) -> Iterator[Floats]:
        nonlocal done
        seeds = rng.integers(2**63, size=len(coarse), dtype=np.uint64).tolist()
        for i in range(0, len(coarse), batch):
            part = torch.from_numpy(coarse[i : i + batch]).to(device)
            yield from _draw(network, part, SeededNoise(seeds[i : i + batch], device), shape.fine, steps, sampler)
            done += len(part)
            if progress is not None:
                progress(done, total)

    if progress is not None:
        progress(0, total)
    for target, n_patches in plan:
        cloud = _one_pass(draw, cloud, target, n_patches, shape.coarse, rng)
    return cloud


def _plan(have: int, want: int, shape: PatchShape, overlap: float) -> list[tuple[int, int]]:
    """Of each pass: the points after it, and its patches."""
    plan = []
    while have < want:
        target = min(want, have * (1 + shape.ratio))
        # However small the overlap, there must be enough new points to choose from.
        least = -(-(target - have) // shape.fine)
        plan.append((target, min(have, max(least, round(overlap * have / shape.coarse)))))
        have = target
    return plan


def _one_pass(
    draw: Callable[[Floats], Iterator[Floats]],
    cloud: PointCloud,
    target: int,
    n_patches: int,
    n_coarse: int,
    rng: np.random.Generator,
) -> PointCloud:
    points, colors = cloud.points, cloud.colors
    members, reach = _cut(points, n_patches, n_coarse, rng)
    frames = [PatchFrame.around(points[member]) for member in members]
    coarse = np.stack([frame.to_local(points[m], colors[m]) for frame, m in zip(frames, members, strict=True)])
    new = [frame.to_world(local) for frame, local in zip(frames, draw(coarse), strict=True)]
    new_points, new_colors = np.concatenate([p for p, _ in new]), np.concatenate([c for _, c in new])
    owner = np.repeat(np.arange(n_patches), [len(p) for p, _ in new])
    # A patch's own points first, then those that strayed over a border, the least far first; only as
    # many of these as are needed.
    stray = _stray(new_points, owner, points[members[:, 0]], reach)
    order = np.lexsort((rng.random(len(stray)), stray))
    pick = order[: target - len(points)]
    return PointCloud(np.concatenate([points, new_points[pick]]), np.concatenate([colors, new_colors[pick]]))


def _cut(
    points: Floats, n_patches: int, n_coarse: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Patches of points (n, 3): each one's members (n_patches, n_coarse), its centre first, and radius (n_patches,).

    Each centre is, of the points that are in the fewest patches so far, the farthest from the former
    centres. (By distance alone, up to a twentieth of a bicycle was in no patch at an overlap of 2.)
    """
    tree = cKDTree(points)
    times = np.zeros(len(points), dtype=np.int64)
    distance = np.full(len(points), np.inf)
    members = np.empty((n_patches, n_coarse), dtype=np.int64)
    reach = np.empty(n_patches)
    centre = int(rng.integers(len(points)))
    for i in range(n_patches):
        away, near = tree.query(points[centre], k=range(1, n_coarse + 1))
        near[0] = centre  # of several points at one place another may come first
        members[i], reach[i] = near, max(float(away[-1]), 1e-6)
        times[near] += 1
        distance = np.minimum(distance, np.linalg.norm(points - points[centre], axis=1))
        least = np.flatnonzero(times == times.min())
        centre = int(least[distance[least].argmax()])
    return members, reach


def _stray(
    points: Floats, owner: NDArray[np.int64], centres: Floats, reach: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How much deeper than in their own patch points (n, 3) lie in another, 0 for none: (n,), in patch radii."""
    k = min(_RIVALS, len(centres))
    distance, patch = cKDTree(centres).query(points, k=range(1, k + 1))
    own = np.linalg.norm(points - centres[owner], axis=1) / reach[owner]
    return np.where(patch == owner[:, None], 0, own[:, None] - distance / reach[patch]).max(axis=1).clip(min=0)


_RIVALS = 8
"""Patches that a point may lie in."""


@torch.inference_mode()
def _draw(
    network: Network, coarse: Tensor, noise: SeededNoise, n_fine: int, steps: int, sampler: str
) -> NDArray[np.float32]:
    """New points (n, 6, n_fine) for patches (n, 6, coarse), all in their local frames."""
    denoiser = VelocityDenoiser(network, clip_denoised=False)
    sigmas = karras_sigmas(steps, 0.01, 30.0)

    def bound(x: Tensor, sigma: float | Tensor, /) -> Tensor:
        return denoiser(x, sigma, low_res=coarse)

    x = noise((len(coarse), 6, n_fine)) * float(sigmas[0])
    with torch.autocast(coarse.device.type, dtype=torch.bfloat16, enabled=coarse.device.type in ("cpu", "cuda")):
        *_, last = solver(sampler)(bound, x, sigmas, noise=noise)
    return last.x.float().cpu().numpy()
