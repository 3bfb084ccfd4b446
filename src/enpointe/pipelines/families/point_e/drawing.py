"""Clouds drawn by the released networks, in batches, each sample with noise of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from enpointe.checkpoints.released import RELEASED
from enpointe.core.progress import ProgressCallback
from enpointe.diffusion.denoiser import Network
from enpointe.diffusion.noise import SeededNoise
from enpointe.diffusion.sampler import make_sampler
from enpointe.nn.point_transformer import PointTransformer
from enpointe.pipelines.batching import in_batches
from enpointe.pipelines.families.point_e.conditions import Conditions
from enpointe.pipelines.families.point_e.presets import ReleasedPreset, Sampling
from enpointe.pipelines.families.point_e.stages import CloudStage, eps_stage

COARSE_POINTS = RELEASED["base40M"].n_points
NEW_POINTS = RELEASED["upsample"].n_points

_BYTES_PER_CHANNEL = 64
"""Of one channel of one token, where a layer is widest: four times the channels, and what goes in, in float32."""


def released_stage(
    network: Network, name: str, sampling: Sampling, preset: ReleasedPreset, *, dtype: torch.dtype
) -> CloudStage:
    """The stage of a released base model, or of "upsample"."""
    model = RELEASED[name]
    stage = eps_stage(
        network,
        model.process,
        shape=(len(model.scaling.scales), model.n_points),
        sampler=make_sampler(sampling.sampler, **sampling.options),
        steps=sampling.steps,
        sigma_min=sampling.sigma_min,
        sigma_max=sampling.sigma_max,
        rho=sampling.rho,
        guidance_scale=sampling.guidance_scale,
        interval=sampling.interval,
        integer_time=sampling.integer_time,
        prepare=preset.prepare,
        dtype=dtype,
    )
    return CloudStage(stage, model.scaling)


def coarse_clouds(
    stage: CloudStage,
    known: Conditions,
    seeds: Sequence[int],
    device: torch.device,
    batch: int,
    report: ProgressCallback,
) -> Tensor:
    """(N, 6, n_points) in world units, on the CPU: those that wait for the upsampler may be many."""
    parts = [
        _draw(stage, known.base(part), seeds[part], device, tell).cpu()
        for part, tell in in_batches(len(seeds), batch, "cloud", stage.n_yields, report)
    ]
    return torch.cat(parts)


def dense_clouds(
    stage: CloudStage,
    coarse: Tensor,
    known: Conditions,
    seeds: Sequence[int],
    n_points: int,
    device: torch.device,
    batch: int,
    report: ProgressCallback,
) -> Tensor:
    """Coarse clouds (N, 6, K) and points around them, n_points in all: (N, 6, n_points), on the CPU.

    More new points than the network draws at once come from several runs around the same coarse ones: it
    knows no order of points, and those of a run depend on each other by their coarse points only as much
    as it has learned.
    """
    network = stage.network
    assert isinstance(network, PointTransformer)
    n_runs = math.ceil((n_points - coarse.shape[2]) / stage.n_points)
    parts = []
    for part, tell in in_batches(len(seeds), batch, "upsample", n_runs * stage.n_yields, report):
        low_res = coarse[part].to(device)
        cond = known.upsampler(part, network)
        clouds = [coarse[part]]
        for i in range(n_runs):

            def tell_run(done: int, before: int = i * stage.n_yields, tell: Callable[[int], None] = tell) -> None:
                tell(before + done)

            drawn = _draw(stage, cond, [_seed_of_run(seed, i) for seed in seeds[part]], device, tell_run, low_res)
            clouds.append(drawn[:, :, low_res.shape[2] :].cpu())
        parts.append(torch.cat(clouds, dim=2)[:, :, :n_points])
    return torch.cat(parts)


def _draw(
    stage: CloudStage,
    cond: dict[str, Any],
    seeds: Sequence[int],
    device: torch.device,
    tell: Callable[[int], None],
    low_res: Tensor | None = None,
) -> Tensor:
    for step in stage.run(cond, SeededNoise(seeds, device), n_samples=len(seeds), low_res=low_res):
        tell(step.i + 1)
    return step.x


def _seed_of_run(seed: int, i: int) -> int:
    """The seed of a sample's i-th upsampling: not the base stage's, whose noise would come again."""
    return int(np.random.default_rng([seed, 1 + i]).integers(2**63))


def batch_that_fits(name: str, device: torch.device) -> int:
    """How many clouds to draw at a time: 1 on a CPU, where more are no faster, else what fits, at most 16."""
    if device.type == "cpu":
        return 1
    if device.type != "cuda":
        return 4
    config = RELEASED[name].config
    width = max(config.width, RELEASED["upsample"].config.width)
    each = 2 * (COARSE_POINTS + NEW_POINTS + 512) * width * _BYTES_PER_CHANNEL  # twice: guidance
    weights = 4 * 12 * width**2 * config.layers
    free, _ = torch.cuda.mem_get_info(device)
    return max(1, min(16, (free - weights) // each))
