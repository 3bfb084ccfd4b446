"""The release's kind of stage: a network that predicts noise, on Karras' levels or through its whole process."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from enpointe.core.errors import InputError
from enpointe.diffusion.channels import ChannelScaling
from enpointe.diffusion.denoiser import DiscreteDenoiser, EpsDenoiser, Network, NetworkDenoiser
from enpointe.diffusion.guidance import Condition, Guidance, NoiseGuidance
from enpointe.diffusion.sampler import Sampler
from enpointe.diffusion.schedule import DiscreteProcess, KarrasSchedule, ProcessSchedule
from enpointe.diffusion.step import Noise, Step
from enpointe.nn.point_transformer import PointTransformer
from enpointe.pipelines.stage import Stage


@dataclass(frozen=True)
class CloudStage:
    """A stage of clouds in world units, around coarse points where there are some.

    Attributes:
        stage: of samples (C, P).
        scaling: from world units to its own.
    """

    stage: Stage
    scaling: ChannelScaling

    @property
    def n_points(self) -> int:
        """How many points it draws; coarse points come on top."""
        return self.stage.shape[-1]

    @property
    def n_yields(self) -> int:
        """How many states `run` gives."""
        return self.stage.steps + 1

    @property
    def network(self) -> Network:
        """The network that its denoiser evaluates."""
        assert isinstance(self.stage.denoiser, NetworkDenoiser)
        return self.stage.denoiser.net

    def run(self, cond: Condition, noise: Noise, *, n_samples: int, low_res: Tensor | None = None) -> Iterator[Step]:
        """`Stage.run` in world units.

        Args:
            low_res: coarse points (N, C, K): one more condition, and the first points of every cloud.

        Yields:
            x and denoised, (N, C, K + P). denoised is the best estimate so far, which is what the release's
            progressive sampler shows.
        """
        known = {**cond, "low_res": low_res} if low_res is not None else cond
        for step in self.stage.run(known, noise, n_samples=n_samples):
            x, denoised = (self.scaling.to_world(points) for points in (step.x, step.denoised))
            if low_res is not None:
                coarse = low_res.to(x)
                x, denoised = torch.cat([coarse, x], dim=2), torch.cat([coarse, denoised], dim=2)
            yield step._replace(x=x, denoised=denoised)


def eps_stage(
    network: Network,
    process: DiscreteProcess,
    *,
    shape: tuple[int, ...],
    sampler: Sampler,
    steps: int = 64,
    sigma_min: float = 1e-3,
    sigma_max: float = 120.0,
    rho: float = 7.0,
    guidance_scale: float = 3.0,
    interval: tuple[float, float] = (0.0, math.inf),
    keep: tuple[str, ...] = (),
    clip_denoised: bool = True,
    integer_time: bool = True,
    prepare: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Stage:
    """How samples are drawn with a network that predicts the noise of a process; the defaults are the release's.

    A sampler in the VP frame goes through the process, respaced to `steps`, with the release's guidance of x, y and z:
    it does not use sigma_min, sigma_max, rho, interval and integer_time.

    Args:
        shape: of a sample, (C, P).
        sampler, steps, dtype: as in `Stage`.
        sigma_min, sigma_max, rho: of `KarrasSchedule`.
        guidance_scale, interval, keep: of `Guidance`.
        clip_denoised, integer_time: of `EpsDenoiser`.
        prepare: embed conditions once, equal tokens of a grid as one, see `PointTransformer.prepare`.

    Raises:
        InputError: another network than a `PointTransformer` to prepare conditions for.
    """
    whole_process = sampler.frame == "vp"
    return Stage(
        DiscreteDenoiser(network, process, clip_denoised)
        if whole_process
        else EpsDenoiser(network, process, clip_denoised, integer_time),
        sampler,
        ProcessSchedule(process) if whole_process else KarrasSchedule(sigma_min, sigma_max, rho),
        steps,
        shape,
        NoiseGuidance(guidance_scale, keep=keep) if whole_process else Guidance(guidance_scale, interval, keep=keep),
        prepare=_prepared_by(network) if prepare else None,
        dtype=dtype,
    )


def _prepared_by(network: Network) -> Callable[..., Condition]:
    if not isinstance(network, PointTransformer):
        raise InputError(f"prepare: expected a PointTransformer, found {type(network).__name__}")
    return lambda n_samples, **cond: {"prepared": network.prepare(n_samples, **cond)}
