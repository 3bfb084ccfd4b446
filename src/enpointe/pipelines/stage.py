"""One diffusion stage: noise and a condition become clouds, better with every step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from enpointe.core.errors import InputError
from enpointe.diffusion.channels import ChannelScaling
from enpointe.diffusion.denoiser import DiscreteDenoiser, EpsDenoiser, Network
from enpointe.diffusion.guidance import XYZ, Condition, Guided, unconditional
from enpointe.diffusion.sampler import Sampler
from enpointe.diffusion.samplers.heun import Heun
from enpointe.diffusion.schedule import DiscreteProcess, KarrasSchedule, ProcessSchedule
from enpointe.diffusion.step import Noise, Step
from enpointe.nn.point_transformer import PointTransformer


@dataclass(frozen=True)
class Stage:
    """A noise-predicting network and how clouds are drawn from it.

    The defaults are the release's, for a base model.

    Attributes:
        network: (x_t (N, C, P), t (N,), **cond) -> (N, C or 2 C, P); its conditions are those given to `run`.
        process: what it was trained on.
        scaling: from world units to the network's.
        n_points: how many points it draws; low-resolution points come on top.
        sampler: on Karras' noise levels; or one in the VP frame, `DDPM`, which goes through the process, respaced to
            `steps`, and does not use sigma_min, sigma_max, rho, integer_time and interval.
        steps: of the sampler.
        sigma_min, sigma_max: the noise levels between which it goes.
        rho: how they are spread, see `KarrasSchedule`; the larger, the more evenly in log sigma.
        guidance_scale: 1 is plain conditional, and so is 0. `DDPM` guides the noise of x, y, z only, as
            the release does; the others guide the clean sample.
        interval: noise levels sigma inside which guidance applies; outside it is plain conditional.
        keep: names of conditions that the unconditional half keeps; ("low_res",) are the coarse points.
            The release's keeps nothing.
        clip_denoised: clip clean samples to [-1, 1] in the network's units.
        integer_time: truncate times to whole steps of the process, see `EpsDenoiser`.
        prepare: embed the conditions once, equal tokens of a grid as one, see `PointTransformer.prepare`;
            for a network of that class.
        half: evaluate the network in bfloat16, whatever its weights are in; the sampler stays in float32.

    Raises:
        InputError: fewer than one point, or another network to prepare conditions for.
    """

    network: Network
    process: DiscreteProcess
    scaling: ChannelScaling = field(default_factory=ChannelScaling)
    n_points: int = 1024
    sampler: Sampler = field(default_factory=Heun)
    steps: int = 64
    sigma_min: float = 1e-3
    sigma_max: float = 120.0
    rho: float = 7.0
    guidance_scale: float = 3.0
    interval: tuple[float, float] = (0.0, math.inf)
    keep: tuple[str, ...] = ()
    clip_denoised: bool = True
    integer_time: bool = True
    prepare: bool = False
    half: bool = False

    def __post_init__(self) -> None:
        if self.n_points < 1:
            raise InputError(f"n_points: expected at least 1, found {self.n_points}")
        if self.prepare and not isinstance(self.network, PointTransformer):
            raise InputError(f"prepare: expected a PointTransformer, found {type(self.network).__name__}")

    @property
    def n_yields(self) -> int:
        """How many steps `run` gives."""
        return self.steps if self.sampler.frame == "vp" else self.steps + 1


@torch.no_grad()
def run(
    stage: Stage, cond: Condition, noise: Noise, *, n_samples: int, low_res: Tensor | None = None
) -> Iterator[Step]:
    """Draws clouds; every step gives all of them, in world units.

    Args:
        cond: the network's keyword arguments (N, ...), or mappings of such: {"vector": ...},
            {"grids": {"image": ...}}; empty for a network without conditions.
        noise: of all samples; the first draw (N, C, n_points) is the start, the others are the sampler's.
        n_samples: N.
        low_res: coarse points (N, C, K) in world units: one more condition, and the first points of every cloud.

    Yields:
        `stage.n_yields` steps. `denoised` (N, C, K + n_points) is the best estimate so far, which is what
        the release's progressive sampler shows; `x` is the sampler's own state, which in the last step is
        what it arrived at, the same as `denoised` but for "dpm2". sigma is the noise level.
    """
    channels = len(stage.scaling.scales)
    start = noise((n_samples, channels, stage.n_points))
    known = {**cond, "low_res": low_res} if low_res is not None else dict(cond)
    for step in _steps(stage, known, start, noise):
        x, denoised = (stage.scaling.to_world(points) for points in (step.x, step.denoised))
        if low_res is not None:
            coarse = low_res.to(x)
            x, denoised = torch.cat([coarse, x], dim=2), torch.cat([coarse, denoised], dim=2)
        yield Step(x, denoised, step.sigma, step.i)


def _steps(stage: Stage, cond: dict[str, Any], start: Tensor, noise: Noise) -> Iterator[Step]:
    """The sampler's steps, in the network's units."""
    uncond = unconditional(cond, keep=stage.keep)
    # Where the halves are the same there is nothing to go away from, and one will do.
    scale = stage.guidance_scale if cond.keys() - set(stage.keep) else 1.0
    if stage.prepare:
        cond, uncond = _prepared(stage, cond, len(start)), _prepared(stage, uncond, len(start))
    network = _in_half(stage.network) if stage.half else stage.network
    if stage.sampler.frame == "vp":
        guided_noise = Guided(network, cond, uncond, scale, channels=XYZ)
        discrete = DiscreteDenoiser(guided_noise, stage.process, stage.clip_denoised)
        # The last step repeats the estimate before it.
        for step in stage.sampler(discrete, start, ProcessSchedule(stage.process)(stage.steps), noise=noise):
            if step.i < stage.steps:
                yield step
        return
    denoiser = EpsDenoiser(network, stage.process, stage.clip_denoised, stage.integer_time)
    guided = Guided(denoiser, cond, uncond, scale, stage.interval)
    sigmas = KarrasSchedule(stage.sigma_min, stage.sigma_max, stage.rho)(stage.steps)
    yield from stage.sampler(guided, start * float(sigmas[0]), sigmas, noise=noise)


def _prepared(stage: Stage, cond: Condition, n_samples: int) -> dict[str, Any]:
    network = stage.network
    assert isinstance(network, PointTransformer)
    with torch.autocast(_device(network).type, dtype=torch.bfloat16, enabled=stage.half):
        return {"prepared": network.prepare(n_samples, **cond)}


def _in_half(network: Network) -> Network:
    """The network in bfloat16. Not around the sampler: a generator would leave it switched on for its caller."""

    def half(x: Tensor, t: Tensor, /, **cond: Any) -> Tensor:
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            return network(x, t, **cond)

    return half


def _device(network: PointTransformer) -> torch.device:
    return network.input_proj.weight.device
