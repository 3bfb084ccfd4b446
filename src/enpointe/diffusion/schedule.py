"""Noise schedules: the release's discrete processes, a continuous one for velocity prediction, Karras' grid.

Two frames are in use. In the variance-preserving (VP) frame of a discrete process
x_t = sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) eps; in the frame of Karras et al. (arXiv 2206.00364)
x = x0 + sigma eps. One is the other times sqrt(1 + sigma^2), with sigma^2 = (1 - alpha_bar) / alpha_bar.
All tables are float64 on the CPU.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Float64, Int64, Shaped
from torch import Tensor

from enpointe.core.errors import InputError

Level = float | Tensor
"""A noise level of a batch: one number for all samples, or a tensor (N,)."""


def linear_betas(steps: int) -> Float64[Tensor, " {steps}"]:
    """Ho et al. 2020 (arXiv 2006.11239, section 4), stretched so that 1000 steps are their schedule. (steps,)"""
    stretch = 1000 / steps
    return torch.linspace(1e-4 * stretch, 0.02 * stretch, steps, dtype=torch.float64)


def cosine_betas(steps: int, offset: float = 0.008, largest: float = 0.999) -> Float64[Tensor, " {steps}"]:
    """Nichol and Dhariwal 2021 (arXiv 2102.09672, equation 17). (steps,)"""
    time = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    alpha_bar = torch.cos((time + offset) / (1 + offset) * math.pi / 2) ** 2
    return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=largest)


BETAS: dict[str, Callable[[int], Tensor]] = {"linear": linear_betas, "cosine": cosine_betas}


@dataclass(frozen=True)
class DiscreteProcess:
    """A diffusion process of finitely many steps, all of them or a subset ("respaced").

    Args:
        schedule: "cosine" (released base models) or "linear" (released upsampler).
        steps: of the process that the network was trained on.
        respacing: how many of them to keep, spread evenly; or such a number for each of several
            equal sections, separated by commas, "10,20"; "ddim50": as many with one whole stride;
            "exact0,9,99": these; empty keeps all.

    An index counts the kept steps; `timesteps[index]` is the step of the trained process, which is
    the network's time.

    Raises:
        InputError: an unknown schedule or an impossible respacing.
    """

    schedule: str = "cosine"
    steps: int = 1024
    respacing: str = ""

    def __post_init__(self) -> None:
        if self.schedule not in BETAS:
            raise InputError(f"schedule: expected one of {sorted(BETAS)}, found {self.schedule!r}")
        if self.steps < 2:
            raise InputError(f"steps of a diffusion process: expected at least 2, found {self.steps}")
        kept_steps(self.steps, self.respacing)

    def __len__(self) -> int:
        return len(self.timesteps)

    def respaced(self, steps: int) -> DiscreteProcess:
        """The process with so many steps of the trained one kept; InputError where it has fewer."""
        return replace(self, respacing=str(steps))

    @cached_property
    def timesteps(self) -> Int64[Tensor, " kept"]:
        """Kept steps of the trained process, rising. (len,) int64"""
        return torch.tensor(kept_steps(self.steps, self.respacing))

    @cached_property
    def trained_betas(self) -> Float64[Tensor, " {self.steps}"]:
        """Variance added by each step of the trained process. (steps,)"""
        return BETAS[self.schedule](self.steps)

    @cached_property
    def alphas_cumprod(self) -> Float64[Tensor, " {len(self)}"]:
        """alpha_bar of each kept step. (len,)"""
        return torch.cumprod(1 - self.trained_betas, dim=0)[self.timesteps]

    @cached_property
    def alphas_cumprod_prev(self) -> Float64[Tensor, " {len(self)}"]:
        """alpha_bar one kept step earlier, 1 at the start. (len,)"""
        return torch.cat([self.alphas_cumprod.new_ones(1), self.alphas_cumprod[:-1]])

    @cached_property
    def betas(self) -> Float64[Tensor, " {len(self)}"]:
        """Variance added by each kept step. (len,)"""
        if len(self) == self.steps:
            return self.trained_betas
        return 1 - self.alphas_cumprod / self.alphas_cumprod_prev

    @cached_property
    def sigmas(self) -> Float64[Tensor, " {len(self)}"]:
        """Noise to signal, sqrt((1 - alpha_bar) / alpha_bar), rising. (len,)"""
        return ((1 - self.alphas_cumprod) / self.alphas_cumprod).sqrt()

    @cached_property
    def posterior_variance(self) -> Float64[Tensor, " {len(self)}"]:
        """Variance of q(x_{t-1} | x_t, x0), 0 at the start. (len,)"""
        return self.betas * (1 - self.alphas_cumprod_prev) / (1 - self.alphas_cumprod)

    @cached_property
    def posterior_log_variance_clipped(self) -> Float64[Tensor, " {len(self)}"]:
        """Its logarithm; the first, which is log 0, repeats the second. (len,)"""
        variance = self.posterior_variance.clone()
        variance[0] = variance[min(1, len(self) - 1)]
        return variance.log()

    @cached_property
    def posterior_weights(self) -> tuple[Float64[Tensor, " {len(self)}"], Float64[Tensor, " {len(self)}"]]:
        """Of x0 and of x_t in the mean of q(x_{t-1} | x_t, x0) (Ho et al. 2020, equation 7). Each (len,)"""
        before, now = self.alphas_cumprod_prev, self.alphas_cumprod
        of_x0 = self.betas * before.sqrt() / (1 - now)
        return of_x0, (1 - before) * (1 - self.betas).sqrt() / (1 - now)

    def sigma_to_index(self, sigma: Level) -> Float64[Tensor, "*shape"]:
        """The index, with a fraction, at a noise level: alpha_bar is interpolated, the ends hold beyond.

        Args:
            sigma: a number or a tensor of any shape.
        Returns:
            float64 of sigma's shape, on the CPU. The release truncates it to an integer.
        """
        alpha_bar = 1 / (1 + torch.as_tensor(sigma, dtype=torch.float64, device="cpu") ** 2)
        table = self.alphas_cumprod.flip(0)  # searchsorted wants it rising
        last = len(self) - 1
        if last == 0:
            return torch.zeros_like(alpha_bar)
        above = torch.searchsorted(table, alpha_bar).clamp(1, last)
        low, high = table[above - 1], table[above]
        fraction = ((alpha_bar - low) / (high - low)).clamp(0, 1)
        return last - (above - 1 + fraction)

    def index_to_time(self, index: Shaped[Tensor, "*shape"]) -> Float64[Tensor, "*shape"]:
        """The network's time at an index, interpolated at fractions. float64, on the CPU."""
        below = index.long()
        above = (below + 1).clamp(max=len(self) - 1)
        times = self.timesteps.double()
        return torch.lerp(times[below], times[above], index.double() - below)


def kept_steps(steps: int, respacing: str) -> list[int]:
    """Indices of the steps that a respacing keeps, see `DiscreteProcess`.

    Raises:
        InputError: not numbers, or more than a section has.
    """
    if not respacing:
        return list(range(steps))
    kind = next((name for name in ("ddim", "exact") if respacing.startswith(name)), "")
    try:
        counts = [int(part) for part in respacing.removeprefix(kind).split(",")]
    except ValueError:
        raise InputError(
            f"respacing: expected numbers such as '64', '10,20', 'ddim50' or 'exact0,9', found {respacing!r}"
        ) from None
    if kind == "exact":
        if min(counts) < 0 or max(counts) >= steps:
            raise InputError(f"respacing {respacing!r}: expected steps from 0 to {steps - 1}")
        return sorted(set(counts))
    if kind == "ddim":
        strided = (list(range(0, steps, stride)) for stride in range(1, steps + 1))
        found = next((kept for kept in strided if [len(kept)] == counts), None)
        if found is None:
            raise InputError(f"respacing {respacing!r}: expected a count that a whole stride of {steps} gives")
        return found
    return _sections(steps, respacing, counts)


def _sections(steps: int, respacing: str, counts: list[int]) -> list[int]:
    """So many steps, spread evenly, in each of as many equal sections."""
    kept, start = [], 0
    for section, count in enumerate(counts):
        size = steps // len(counts) + (section < steps % len(counts))
        if not 1 <= count <= size:
            raise InputError(f"respacing {respacing!r}: expected 1 to {size} steps per section, found {count}")
        stride = (size - 1) / (count - 1) if count > 1 else 1.0
        position = 0.0
        # A running sum, like the release's: its rounding decides where a step falls between two.
        for _ in range(count):
            kept.append(start + round(position))
            position += stride
        start += size
    return kept


class Schedule(ABC):
    """The noise levels of a run, by its number of steps. Subclasses are frozen dataclasses."""

    @abstractmethod
    def __call__(self, steps: int) -> Float64[Tensor, " {steps}+1"]:
        """Falling noise levels sigma with a trailing zero, (steps + 1,) float64.

        Raises:
            InputError: steps < 1, or more than there are levels.
        """


@dataclass(frozen=True)
class KarrasSchedule(Schedule):
    """Karras et al. 2022 (arXiv 2206.00364, equation 5).

    Args:
        sigma_min, sigma_max: the lowest level above zero, and the highest.
        rho: how levels are spread; the larger, the more evenly in log sigma.

    Raises:
        InputError: not 0 < sigma_min < sigma_max.
    """

    sigma_min: float = 1e-3
    sigma_max: float = 120.0
    rho: float = 7.0

    def __post_init__(self) -> None:
        if not 0 < self.sigma_min < self.sigma_max < math.inf:
            raise InputError(
                f"noise levels: expected 0 < sigma_min < sigma_max, found {self.sigma_min} and {self.sigma_max}"
            )

    def __call__(self, steps: int) -> Float64[Tensor, " {steps}+1"]:
        _check_steps(steps)
        ramp = torch.linspace(0, 1, steps, dtype=torch.float64)
        first, last = self.sigma_max ** (1 / self.rho), self.sigma_min ** (1 / self.rho)
        return torch.cat([(first + ramp * (last - first)) ** self.rho, ramp.new_zeros(1)])


@dataclass(frozen=True)
class ProcessSchedule(Schedule):
    """The levels of a discrete process, respaced to the steps that are wanted; as it is for as many as it keeps."""

    process: DiscreteProcess

    def __call__(self, steps: int) -> Float64[Tensor, " {steps}+1"]:
        _check_steps(steps)
        process = self.process if steps == len(self.process) else self.process.respaced(steps)
        return torch.cat([process.sigmas.flip(0), process.sigmas.new_zeros(1)])


def _check_steps(steps: int) -> None:
    if steps < 1:
        raise InputError(f"steps: expected at least 1, found {steps}")


@dataclass(frozen=True)
class VelocityProcess:
    """Continuous times for velocity prediction (Salimans and Ho 2022, arXiv 2202.00512, section 4).

    A time is an angle on the VP circle, x_vp = cos(a) x0 + sin(a) eps, hence sigma = tan(a).
    Training times are logit-normal: a = pi/2 * logistic(mean + std z), z ~ N(0, 1)
    (Esser et al. 2024, arXiv 2403.03206, section 3.1). Mean 0 puts the median at sigma = 1.
    """

    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        if not self.std > 0:
            raise InputError(f"spread of the training times: expected more than 0, found {self.std}")

    def training_sigmas(self, z: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Standard normal draws of any shape -> noise levels, of its shape and type."""
        # Short of 1, where rounding may carry the tangent over to minus infinity.
        fraction = torch.sigmoid(self.mean + self.std * z).clamp(max=1 - 1e-5)
        return torch.tan(math.pi / 2 * fraction)


TIME_SCALE = 1000.0
"""Times of velocity networks run from 0 (clean) to this (noise), the range that sine features are made for."""


def velocity_time(sigma: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """A velocity network's time: the angle on the VP circle, atan(sigma), as a part of pi/2, times 1000."""
    return TIME_SCALE * 2 / math.pi * torch.atan(sigma)
