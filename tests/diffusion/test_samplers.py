"""Samplers on distributions whose exact denoiser is known in closed form."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from enpointe.core.errors import InputError
from enpointe.diffusion.denoiser import Denoiser, DiscreteDenoiser, EpsDenoiser
from enpointe.diffusion.noise import SeededNoise
from enpointe.diffusion.posterior import log_variance, posterior_mean, x0_from_eps
from enpointe.diffusion.sampler import make_sampler, options_of, samplers_in
from enpointe.diffusion.samplers import SAMPLERS
from enpointe.diffusion.samplers.ancestral import Ancestral
from enpointe.diffusion.samplers.ddpm import DDPM
from enpointe.diffusion.samplers.heun import Heun
from enpointe.diffusion.schedule import DiscreteProcess, KarrasSchedule, Level, ProcessSchedule
from enpointe.diffusion.step import Noise, Step


@dataclass(frozen=True)
class Mixture:
    """Points of a mixture of isotropic Gaussians; weights (K,), means (K, C), stds (K,)."""

    weights: Tensor
    means: Tensor
    stds: Tensor

    def denoiser(self, x: Tensor, sigma: Level) -> Tensor:
        """Exact E[x0 | x] at every point of x (N, C, P), one sigma."""
        sigma = float(sigma)
        variances = self.stds**2 + sigma**2
        offsets = x[:, None] - self.means[None, :, :, None]
        logits = self.weights.log() - 0.5 * self.means.shape[1] * variances.log()
        logits = logits[None, :, None] - 0.5 * (offsets**2).sum(2) / variances[None, :, None]
        shares = logits.softmax(dim=1)
        shrink = (self.stds**2 / variances)[None, :, None, None]
        each = self.means[None, :, :, None] + shrink * offsets
        return (shares[:, :, None] * each).sum(1)

    def sample(self, shape: tuple[int, int, int], noise: Callable[[Sequence[int]], Tensor]) -> Tensor:
        """(N, C, P), each component with exactly its share of the points."""
        counts = (self.weights * shape[2]).round().long()
        of_point = torch.repeat_interleave(torch.arange(len(counts)), counts)
        return self.means.T[:, of_point] + self.stds[of_point] * noise(shape)

    def mean(self) -> Tensor:
        return self.weights @ self.means

    def variance(self) -> Tensor:
        """Of each channel. (C,)"""
        return self.weights @ (self.stds[:, None] ** 2 + self.means**2) - self.mean() ** 2


MIXTURE = Mixture(
    weights=torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64),
    means=torch.tensor(
        [[0.5, -0.2, 0.1, 0.0, 0.3, -0.4], [-0.6, 0.4, 0.0, 0.2, -0.3, 0.1], [0.1, 0.5, -0.7, -0.2, 0.0, 0.6]],
        dtype=torch.float64,
    ),
    stds=torch.tensor([0.3, 0.25, 0.4], dtype=torch.float64),
)


SHAPE = (4, 6, 2500)


def silent(shape: Sequence[int]) -> Tensor:
    raise AssertionError("a deterministic run drew noise")


def generator_noise(seed: int) -> Callable[[Sequence[int]], Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return lambda shape: torch.randn(tuple(shape), generator=generator, dtype=torch.float64)


def gaussian_denoiser(mean: float, std: float) -> Denoiser:
    """Exact for one Gaussian."""
    return lambda x, sigma: (std**2 * x + sigma**2 * mean) / (std**2 + sigma**2)


def last(steps: Any) -> Step:
    *_, step = steps
    assert isinstance(step, Step)
    return step


@pytest.mark.parametrize(
    ("name", "options", "order"),
    [("heun", {}, 2), ("dpm2", {}, 2), ("dpmpp", {}, 2), ("unipc", {}, 2), ("ancestral", {"eta": 0.0}, 1)],
)
@pytest.mark.slow
def test_order_of_convergence(name: str, options: dict[str, float], order: int) -> None:
    start = 5.0 * generator_noise(0)((4, 6, 8))

    def run(method: str, steps: int, **kwargs: float) -> Tensor:
        grid = KarrasSchedule(0.1, 5.0)(steps + 1)[:-1]  # the step onto 0 is of first order by design
        return last(make_sampler(method, **kwargs)(MIXTURE.denoiser, start, grid, noise=silent)).x

    exact = run("heun", 2048)
    errors = [float((run(name, steps, **options) - exact).norm()) for steps in (64, 128, 256)]
    measured = [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert measured == pytest.approx([order, order], abs=0.25)


@pytest.mark.parametrize("name", ["heun", "dpm2", "dpmpp", "unipc"])
def test_deterministic_runs_reach_the_exact_map(name: str) -> None:
    """The probability flow of a Gaussian is linear: a start maps to mean + std * its normal score."""
    mean, std, sigma_max = 0.3, 0.5, 80.0
    start = sigma_max * generator_noise(1)((3, 6, 16))
    end = last(
        make_sampler(name)(gaussian_denoiser(mean, std), start, KarrasSchedule(1e-3, sigma_max)(128), noise=silent)
    ).x
    exact = mean + std * (start - mean) / math.sqrt(std**2 + sigma_max**2)
    torch.testing.assert_close(end, exact, rtol=0, atol=3e-3)


@pytest.mark.parametrize(
    ("name", "options", "steps"),
    [("ancestral", {}, 300), ("heun", {"s_churn": 10.0}, 50), ("dpm2", {"s_churn": 10.0}, 50), ("dpmpp", {}, 30)],
)
@pytest.mark.slow
def test_moments_of_the_mixture(name: str, options: dict[str, float], steps: int) -> None:
    """From the true distribution at one level to that at another: only the solver's error is left."""
    noise = generator_noise(2)
    grid = KarrasSchedule(0.1, 3.0)(steps + 1)[:-1]
    start = MIXTURE.sample(SHAPE, noise) + grid[0] * noise(SHAPE)
    end = last(make_sampler(name, **options)(MIXTURE.denoiser, start, grid, noise=noise)).x
    assert_moments(end, MIXTURE.mean(), MIXTURE.variance() + 0.1**2)


@pytest.mark.parametrize("values", [-1.0, 1.0])
@pytest.mark.slow
def test_moments_of_the_mixture_by_ddpm(values: float) -> None:
    """With many steps the variances that the network may choose between come to the same."""
    process = DiscreteProcess("cosine", respacing="256")

    def net(x_t: Tensor, t: Tensor) -> Tensor:
        eps = exact_eps(MIXTURE.denoiser, process, x_t, t)
        return torch.cat([eps, torch.full_like(eps, values)], dim=1)

    noise = generator_noise(3)
    denoiser = DiscreteDenoiser(net, process, clip_denoised=False)
    end = last(DDPM()(denoiser, noise(SHAPE), ProcessSchedule(process)(256), noise=noise)).x
    assert_moments(end, MIXTURE.mean(), MIXTURE.variance())


def test_ddpm_with_the_exact_variance_is_exact_in_few_steps() -> None:
    """For Gaussian data p(x_{t-1} | x_t) is Gaussian, so that the best variance leaves no error at all."""
    mean, std = 0.3, 0.5
    process = DiscreteProcess("linear", respacing="6")
    now, before = process.alphas_cumprod, process.alphas_cumprod_prev
    # Conditioning x_{t-1} = sqrt(before) x0 + ... on x_t = sqrt(1 - beta) x_{t-1} + sqrt(beta) eps.
    prior = before * std**2 + 1 - before
    exact = prior * process.betas / ((1 - process.betas) * prior + process.betas)
    low, high = process.posterior_log_variance_clipped, process.betas.log()
    values = 2 * (exact.log() - low) / (high - low) - 1
    values[0] = 0.0  # no noise in the last step

    def net(x_t: Tensor, t: Tensor) -> Tensor:
        index = torch.searchsorted(process.timesteps, t.long())
        eps = exact_eps(gaussian_denoiser(mean, std), process, x_t, t)
        return torch.cat([eps, values[index][:, None, None].expand_as(eps)], dim=1)

    noise = generator_noise(4)
    shape = (8, 6, 5000)
    start = noise(shape) * (now[-1] * std**2 + 1 - now[-1]).sqrt() + now[-1].sqrt() * mean
    denoiser = DiscreteDenoiser(net, process, clip_denoised=False)
    *steps, _ = DDPM()(denoiser, start, ProcessSchedule(process)(6), noise=noise)
    # Before the last step, which draws no noise: x_t at the first kept step.
    x, n = steps[-1].x, math.prod(shape)
    variance = float(now[0] * std**2 + 1 - now[0])
    assert float(x.mean()) == pytest.approx(float(now[0].sqrt()) * mean, abs=4 * math.sqrt(variance / n))
    assert float(x.var()) == pytest.approx(variance, rel=4 * math.sqrt(2 / n))


def test_ancestral_variance_follows_its_recurrence() -> None:
    """On a Gaussian every step is linear, so that the variance of any number of steps is known."""
    std, grid = 0.5, KarrasSchedule(0.05, 10.0)(5)
    variance = float(grid[0]) ** 2
    for sigma, below in pairwise(grid.tolist()):
        up = below * math.sqrt(1 - (below / sigma) ** 2)
        down = below**2 / sigma
        ratio = sigma / (std**2 + sigma**2)  # slope d = x * ratio
        variance = variance * (1 + (down - sigma) * ratio) ** 2 + up**2
    noise = generator_noise(5)
    shape = (8, 6, 5000)
    x = last(Ancestral()(gaussian_denoiser(0, std), grid[0] * noise(shape), grid, noise=noise)).x
    assert float(x.var()) == pytest.approx(variance, rel=4 * math.sqrt(2 / math.prod(shape)))


@pytest.mark.parametrize("name", samplers_in("karras"))
def test_steps(name: str) -> None:
    grid = KarrasSchedule(0.01, 10.0)(7)
    start = generator_noise(6)((2, 6, 5)) * 10.0
    steps = list(make_sampler(name)(gaussian_denoiser(0.1, 0.4), start, grid, noise=generator_noise(7)))
    assert [step.i for step in steps] == list(range(8))
    assert [step.sigma for step in steps] == grid.tolist()
    assert torch.equal(steps[0].x, start)
    for step in steps[:-1]:
        torch.testing.assert_close(step.denoised, gaussian_denoiser(0.1, 0.4)(step.x, step.sigma))


def test_correcting_is_more_exact_than_predicting() -> None:
    """In as few steps as a preset takes, which is what the corrector is for."""
    start = 20.0 * generator_noise(0)((4, 6, 8))
    exact = last(Heun()(MIXTURE.denoiser, start, KarrasSchedule(0.02, 20.0)(1024), noise=silent)).x
    grid = KarrasSchedule(0.02, 20.0)(10)
    errors = {
        name: float((last(make_sampler(name)(MIXTURE.denoiser, start, grid, noise=silent)).x - exact).norm())
        for name in ("dpmpp", "unipc")
    }
    assert errors["unipc"] < 0.8 * errors["dpmpp"]


def test_churn_stays_within_its_limits() -> None:
    grid = KarrasSchedule(0.01, 10.0)(8)
    low, high = float(grid[5]), float(grid[2])
    steps = Heun(s_churn=4.0, s_tmin=low, s_tmax=high)(
        gaussian_denoiser(0, 1), torch.ones(1, 6, 2), grid, noise=generator_noise(0)
    )
    lifted = [step.sigma / float(level) for step, level in zip(steps, grid[:-1], strict=False)]
    gamma = min(4 / 8, math.sqrt(2) - 1)
    assert lifted == pytest.approx([1, 1, *[1 + gamma] * 4, 1, 1])


def test_a_sample_does_not_depend_on_its_batch() -> None:
    """Seeds own their noise: a batch equals its samples drawn one by one."""
    grid = KarrasSchedule(0.01, 10.0)(6)
    net = torch.nn.Conv1d(6, 6, 1).eval()
    denoiser = EpsDenoiser(lambda x, t: net(x), DiscreteProcess())

    def run(seeds: list[int]) -> Tensor:
        noise = SeededNoise(seeds)
        start = noise((len(seeds), 6, 32)) * 10.0
        with torch.no_grad():
            return last(Ancestral()(denoiser, start, grid, noise=noise)).x

    together = run([3, 1, 4])
    alone = torch.cat([run([seed]) for seed in (3, 1, 4)])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("name", SAMPLERS)
def test_evaluations_are_counted_as_told(name: str) -> None:
    for steps in (1, 2, 7):
        levels: list[float] = []

        def counting(x: Tensor, sigma: Level, levels: list[float] = levels) -> Tensor:
            levels.append(float(sigma))
            return x / 2

        sampler = make_sampler(name)
        list(sampler(counting, torch.ones(1, 6, 2), KarrasSchedule(0.01, 10.0)(steps), noise=generator_noise(0)))
        assert len(levels) == sampler.evaluations(steps)
        assert min(levels) > 0


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("evaluations", [2, 7, 32])
def test_steps_within_a_number_of_evaluations(name: str, evaluations: int) -> None:
    sampler = make_sampler(name)
    steps = sampler.steps_within(evaluations)
    assert sampler.evaluations(steps) <= evaluations < sampler.evaluations(steps + 1)
    assert sampler.steps_within(1) == 1


def test_unknown_names_and_options() -> None:
    with pytest.raises(InputError, match=r"sampler: expected one of ancestral, ddpm, dpm2, .*, found 'plms'"):
        make_sampler("plms")
    with pytest.raises(InputError, match=r"Heun: expected keys \['draw_unused', 's_churn', .*found unknown \['eta'\]"):
        make_sampler("heun", eta=1.0)
    assert make_sampler("heun", s_churn=3.0) == Heun(s_churn=3.0)
    assert options_of("ancestral") == {"eta", "draw_unused"}
    assert not options_of("dpmpp")
    assert {*samplers_in("karras"), "ddpm"} == {*SAMPLERS}
    assert samplers_in("vp") == ("ddpm",)


def test_naming_the_samplers_needs_no_pytorch() -> None:
    code = "import sys; from enpointe.diffusion.samplers import SAMPLERS; print(*SAMPLERS, 'torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert found == [*SAMPLERS, "False"]


def test_the_table_of_the_docs() -> None:
    """docs/concepts.md names every sampler, its evaluations, and whether it draws noise."""
    text = (Path(__file__).parents[2] / "docs/concepts.md").read_text(encoding="utf-8").partition("## Samplers")[2]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| `")]
    assert sorted(row[0].strip("`") for row in rows) == [*SAMPLERS]
    for name, _, _, evaluations, draws in rows:
        sampler, drawn = make_sampler(name.strip("`")), generator_noise(0)
        counted: list[int] = []

        def noise(shape: Sequence[int], drawn: Noise = drawn, counted: list[int] = counted) -> Tensor:
            counted.append(1)
            return drawn(shape)

        list(sampler(lambda x, _: x / 2, torch.ones(1, 6, 2), KarrasSchedule(0.01, 10.0)(5), noise=noise))
        assert draws == ("yes" if counted else "with churn" if "s_churn" in options_of(name.strip("`")) else "no")
        factor, offset = re.fullmatch(r"(2?)n(?: \u2212 (1))?", evaluations).groups("")  # type: ignore[union-attr]
        assert sampler.evaluations(5) == int(factor or 1) * 5 - int(offset or 0)


@pytest.mark.parametrize(
    ("name", "respacing"), [("cosine", ""), ("cosine", "10"), ("linear", "64"), ("linear", "7,20")]
)
@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.slow
def test_a_step_of_ddpm_is_that_of_its_process(name: str, respacing: str, learned: bool) -> None:
    """To the last bit: its numbers come from the noise levels alone, the process's own tables from its betas."""
    process = DiscreteProcess(name, respacing=respacing)
    values = torch.linspace(-1, 1, 6)[None, :, None].expand(2, 6, 3)

    def denoiser(x: Tensor, sigma: Level) -> Tensor:
        return torch.cat([x / 3, values], dim=1) if learned else x / 3

    draws = generator_noise(1)
    steps = DDPM()(
        denoiser, torch.randn(2, 6, 3), ProcessSchedule(process)(len(process)), noise=lambda shape: draws(shape).float()
    )
    again = generator_noise(1)
    for (before, after), step in zip(pairwise(steps), reversed(range(len(process))), strict=True):
        index = torch.tensor([step, step])
        expected = posterior_mean(process, before.denoised, before.x, index)
        if step > 0:
            log = log_variance(process, values if learned else None, index, before.x)
            expected = expected + (log / 2).exp() * again((2, 6, 3)).float()
        assert torch.equal(after.x, expected)


def test_a_discrete_denoiser_is_the_networks_prediction_at_every_step() -> None:
    process = DiscreteProcess("linear", respacing="50")
    told: list[float] = []

    def net(x: Tensor, t: Tensor) -> Tensor:
        told.append(float(t[0]))
        return torch.cat([x / 2, x], dim=1)

    x = torch.randn(2, 6, 3)
    for step, sigma in enumerate(process.sigmas.tolist()):
        index = torch.tensor([step, step])
        denoised, values = DiscreteDenoiser(net, DiscreteProcess("linear"), clip_denoised=False)(x, sigma).chunk(
            2, dim=1
        )
        assert torch.equal(denoised, x0_from_eps(process, x, index, x / 2))
        assert torch.equal(values, x)
    assert told == process.timesteps.tolist()
    assert float(DiscreteDenoiser(net, process)(9 * x, sigma)[:, :6].abs().max()) == 1


def exact_eps(denoiser: Denoiser, process: DiscreteProcess, x_t: Tensor, t: Tensor) -> Tensor:
    """The noise that an exact denoiser sees in x_t of the VP frame, all samples at one step."""
    sigma = float(process.sigmas[torch.searchsorted(process.timesteps, t.long())][0])
    x = x_t * math.sqrt(1 + sigma**2)
    return (x - denoiser(x, sigma)) / sigma


def assert_moments(x: Tensor, mean: Tensor, variance: Tensor, bias: float = 0.015) -> None:
    """Mean and variance of each channel, within four standard errors and the solver's own bias."""
    points = x.transpose(1, 2).flatten(0, 1)
    error = 4 / math.sqrt(len(points))
    off_mean = (points.mean(0) - mean).abs() / variance.sqrt()
    # The squares of a normal score have variance 2; those of this mixture's have less.
    off_variance = (points.var(0) / variance - 1).abs()
    assert float(off_mean.max()) < error + bias
    assert float(off_variance.max()) < math.sqrt(2) * error + bias
