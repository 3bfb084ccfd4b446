"""A stage draws samples of any shape with a denoiser that is known in closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from enpointe.core.errors import InputError
from enpointe.diffusion.denoiser import DiscreteDenoiser, EpsDenoiser, VelocityDenoiser
from enpointe.diffusion.guidance import Condition, Guidance
from enpointe.diffusion.known import Known
from enpointe.diffusion.noise import SeededNoise
from enpointe.diffusion.sampler import make_sampler, samplers_in
from enpointe.diffusion.samplers import SAMPLERS
from enpointe.diffusion.samplers.ddpm import DDPM
from enpointe.diffusion.samplers.dpmpp import DPMpp
from enpointe.diffusion.samplers.heun import Heun
from enpointe.diffusion.schedule import DiscreteProcess, KarrasSchedule, Level, ProcessSchedule
from enpointe.diffusion.step import Step
from enpointe.pipelines.stage import Stage

STD = 0.5
IMAGE = (3, 8, 6)
MEAN = torch.linspace(-0.5, 0.5, math.prod(IMAGE)).reshape(IMAGE)
"""Images whose pixels are independent, N(MEAN, STD^2)."""
SCHEDULE = KarrasSchedule(1e-3, 80.0)


def images(x: Tensor, sigma: Level, *, shift: Tensor | None = None) -> Tensor:
    """Their exact denoiser; a condition (N,) shifts the mean."""
    mean = MEAN if shift is None else MEAN + shift[:, None, None, None]
    square = float(sigma) ** 2
    return (STD**2 * x + square * mean) / (STD**2 + square)


def last(stage: Stage, n: int = 3, cond: Condition | None = None) -> Step:
    *_, step = stage.run(cond or {}, SeededNoise(range(n)), n_samples=n)
    return step


def exact(n: int, shift: float = 0.0) -> Tensor:
    """Where the probability flow takes the seeds' noise: mean + std * its normal score."""
    start = SCHEDULE.sigma_max * SeededNoise(range(n))((n, *IMAGE))
    return MEAN + shift + STD * (start - MEAN - shift) / math.sqrt(STD**2 + SCHEDULE.sigma_max**2)


@pytest.mark.parametrize("name", ["heun", "dpmpp", "unipc", "dpm2"])
def test_images_of_a_closed_form(name: str) -> None:
    stage = Stage(images, make_sampler(name), SCHEDULE, 80, IMAGE)
    torch.testing.assert_close(last(stage).x, exact(3), rtol=0, atol=5e-3)


def test_guided_images_are_those_of_the_scaled_shift() -> None:
    stage = Stage(images, Heun(), SCHEDULE, 80, IMAGE, Guidance(3.0))
    shift = torch.tensor([0.1, 0.1, 0.1])
    torch.testing.assert_close(last(stage, cond={"shift": shift}).x, exact(3, shift=0.3), rtol=0, atol=5e-3)


def test_every_step_is_given_and_the_start_is_the_first_draw() -> None:
    stage = Stage(images, DPMpp(), SCHEDULE, 5, IMAGE, noise_limit=1.5)
    steps = list(stage.run({}, SeededNoise([4]), n_samples=1))
    assert [step.i for step in steps] == [0, 1, 2, 3, 4, 5]
    assert torch.equal(steps[0].x, 80.0 * SeededNoise([4])((1, *IMAGE)).clamp(-1.5, 1.5))
    assert torch.equal(steps[0].denoised, images(steps[0].x, 80.0))


def mask_of(columns: int) -> Tensor:
    """The first columns are known, in all channels and rows."""
    return (torch.arange(IMAGE[2]) < columns).expand(1, 1, *IMAGE[1:])


@pytest.mark.parametrize("name", samplers_in("karras"))
def test_known_pixels_are_kept_exactly_and_the_others_are_drawn_as_ever(name: str) -> None:
    values = torch.randn(3, *IMAGE, generator=torch.Generator().manual_seed(0))
    mask = mask_of(4)
    plain = Stage(images, make_sampler(name), SCHEDULE, 12, IMAGE)
    stage = replace(plain, known=Known(values, mask))
    steps = list(stage.run({}, SeededNoise(range(3)), n_samples=3))
    everywhere = mask.expand(3, *IMAGE)
    assert torch.equal(steps[-1].x[everywhere], values[everywhere])
    assert all(torch.equal(step.denoised[everywhere], values[everywhere]) for step in steps)
    # Pixels are independent: what is known of some changes nothing of the others.
    torch.testing.assert_close(steps[-1].x[~everywhere], last(plain).x[~everywhere])


def test_known_pixels_reach_the_denoiser_at_the_level_of_the_step() -> None:
    """On the straight line from the starting noise, whatever the sampler does on its way."""
    values, mask, unit = torch.randn(1, *IMAGE), mask_of(2), SeededNoise([0])((1, *IMAGE))
    seen: list[float] = []

    def denoiser(x: Tensor, sigma: Level) -> Tensor:
        expected = (values + float(sigma) * unit)[mask.expand_as(x)]
        torch.testing.assert_close(x[mask.expand_as(x)], expected)
        seen.append(float(sigma))
        return images(x, sigma)

    sampler = Heun(s_churn=6.0)
    last(Stage(denoiser, sampler, SCHEDULE, 6, IMAGE, known=Known(values, mask)), n=1)
    assert len(seen) == sampler.evaluations(6)


def test_the_rest_follows_what_is_known_in_part_and_more_so_with_churn() -> None:
    """Of (a, b) with variances 1 and correlation 0.9, where a is known to be 1.5, b has mean 1.35: docs/concepts.md."""
    covariance = torch.tensor([[1.0, 0.9], [0.9, 1.0]])

    def denoiser(x: Tensor, sigma: Level) -> Tensor:
        gain = covariance @ torch.linalg.inv(covariance + float(sigma) ** 2 * torch.eye(2))
        return x @ gain.T

    def mean(sampler: Heun, known: Known | None) -> float:
        x = last(Stage(denoiser, sampler, SCHEDULE, 40, (2,), known=known), n=1000).x
        assert known is None or torch.equal(x[:, 0], torch.full((1000,), 1.5))
        return float(x[:, 1].mean())

    known = Known(torch.tensor([[1.5, 0.0]]), torch.tensor([[True, False]]))
    assert mean(Heun(), None) == pytest.approx(0, abs=0.1)
    assert mean(Heun(), known) == pytest.approx(0.66, abs=0.1)
    assert mean(Heun(s_churn=40.0), known) == pytest.approx(0.98, abs=0.1)


def test_known_entries_through_a_process_with_its_variance() -> None:
    process = DiscreteProcess("cosine", 64)
    values, mask, unit = torch.rand(2, *IMAGE), mask_of(3), SeededNoise(range(2))((2, *IMAGE))

    def net(x: Tensor, t: Tensor) -> Tensor:
        alpha_bar = process.alphas_cumprod[t.long()].float()[:, None, None, None]
        expected = alpha_bar.sqrt() * values + (1 - alpha_bar).sqrt() * unit
        torch.testing.assert_close(x[mask.expand_as(x)], expected[mask.expand_as(x)])
        return torch.cat([x / 2, torch.zeros_like(x)], dim=1)

    stage = Stage(
        DiscreteDenoiser(net, process), DDPM(), ProcessSchedule(process), 16, IMAGE, known=Known(values, mask)
    )
    x = last(stage, n=2).x
    assert torch.equal(x[mask.expand_as(x)], values[mask.expand_as(x)])


@pytest.mark.parametrize("name", SAMPLERS)
def test_without_known_entries_the_numbers_are_the_sampler_s_own(name: str) -> None:
    sampler, noise = make_sampler(name), SeededNoise([3, 4])
    x = noise((2, *IMAGE)) * (1 if sampler.frame == "vp" else 80.0)
    *_, expected = sampler(images, x, SCHEDULE(5), noise=noise)
    *_, found = Stage(images, sampler, SCHEDULE, 5, IMAGE).run({}, SeededNoise([3, 4]), n_samples=2)
    assert torch.equal(found.x, expected.x)


def test_a_condition_is_prepared_once_for_each_half() -> None:
    asked: list[tuple[int, float]] = []

    def prepare(n_samples: int, *, doubled: Tensor) -> Condition:
        asked.append((n_samples, float(doubled.sum())))
        return {"shift": doubled / 2}

    stage = Stage(images, DPMpp(), SCHEDULE, 20, IMAGE, Guidance(3.0), prepare=prepare)
    cond = {"doubled": torch.tensor([0.2, 0.4])}
    found = last(stage, n=2, cond=cond)
    assert asked == [(2, pytest.approx(0.6)), (2, 0.0)]
    plain = last(replace(stage, prepare=None), n=2, cond={"shift": torch.tensor([0.1, 0.2])})
    assert torch.equal(found.x, plain.x)


def test_only_the_denoiser_computes_in_the_dtype() -> None:
    weight = torch.randn(6, 6, generator=torch.Generator().manual_seed(0)) / 3
    kinds: list[torch.dtype] = []

    def denoiser(x: Tensor, sigma: Level) -> Tensor:
        product = torch.nn.functional.linear(x, weight)
        kinds.append(product.dtype)
        return product.to(x.dtype)

    stage = Stage(denoiser, DPMpp(), SCHEDULE, 3, (4, 6), dtype=torch.bfloat16)
    for step in stage.run({}, SeededNoise([0]), n_samples=1):
        assert not torch.is_autocast_enabled("cpu")
        assert step.x.dtype == torch.float32
    assert set(kinds) == {torch.bfloat16}
    kinds.clear()
    last(replace(stage, dtype=torch.float32), n=1)
    assert set(kinds) == {torch.float32}
    with torch.autocast("cpu", torch.bfloat16):  # the caller's own
        last(replace(stage, dtype=torch.float32), n=1)
    assert kinds[-1] == torch.bfloat16


def test_nothing_is_recorded_for_gradients() -> None:
    weight = torch.ones(1, requires_grad=True)
    stage = Stage(lambda x, sigma: x * weight, DPMpp(), SCHEDULE, 2, (3, 4))
    for step in stage.run({}, SeededNoise([0]), n_samples=1):
        assert not step.x.requires_grad
        assert torch.is_grad_enabled()


def net(x: Tensor, t: Tensor) -> Tensor:
    return x


KNOWN = Known(torch.zeros(1, *IMAGE), mask_of(1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (3, 0, 6)}, r"shape of a sample: .* found \(3, 0, 6\)"),
        ({"shape": ()}, "shape of a sample"),
        ({"denoiser": VelocityDenoiser(net), "sampler": DDPM()}, "vp frame of DDPM, found VelocityDenoiser"),
        ({"denoiser": DiscreteDenoiser(net, DiscreteProcess())}, "karras frame of Heun, found DiscreteDenoiser"),
        ({"denoiser": EpsDenoiser(net, DiscreteProcess()), "sampler": DDPM()}, "found EpsDenoiser in the karras frame"),
        ({"shape": (3, 8, 7), "known": KNOWN}, r"known values: expected .*8, 7.*, found \(1, 3, 8, 6\)"),
        ({"known": Known(torch.zeros(1, *IMAGE), torch.ones(8, 6, dtype=torch.bool))}, "known mask"),
    ],
)
def test_impossible_stages(options: dict[str, Any], message: str) -> None:
    plain = {"denoiser": images, "sampler": Heun(), "schedule": SCHEDULE, "steps": 3, "shape": IMAGE}
    with pytest.raises(InputError, match=message):
        Stage(**{**plain, **options})


def test_a_mask_is_boolean() -> None:
    with pytest.raises(InputError, match=r"known mask: expected booleans, found torch.float32"):
        Known(torch.zeros(1, 2), torch.ones(1, 2))


def draws(shape: Sequence[int]) -> Tensor:
    return torch.zeros(tuple(shape))


@pytest.mark.parametrize("steps", [0, -1])
def test_impossible_steps(steps: int) -> None:
    with pytest.raises(InputError, match="steps: expected at least 1"):
        next(Stage(images, Heun(), SCHEDULE, steps, IMAGE).run({}, draws, n_samples=1))
