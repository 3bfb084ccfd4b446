from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from enpointe.core.errors import InputError
from enpointe.diffusion.denoiser import DiscreteDenoiser
from enpointe.diffusion.guidance import PLAIN, XYZ, Condition, Guidance, Guided, NoiseGuidance, unconditional
from enpointe.diffusion.noise import SeededNoise
from enpointe.diffusion.samplers.heun import Heun
from enpointe.diffusion.schedule import DiscreteProcess, KarrasSchedule, Level

STD = 0.3


class Recorder:
    """The exact denoiser of N(mean, STD^2), the mean being the condition; counts its calls."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(
        self, x: Tensor, sigma: Level, /, *, grids: dict[str, Tensor], low_res: Tensor | None = None
    ) -> Tensor:
        self.batches.append(len(x))
        mean = sum(grid.mean((1, 2)) for grid in grids.values())
        assert isinstance(mean, Tensor)
        square = torch.as_tensor(sigma).expand(len(x))[:, None, None] ** 2
        return (STD**2 * x + square * mean[:, None, None]) / (STD**2 + square)


def condition(means: list[float]) -> dict[str, Any]:
    return {"grids": {"text": torch.tensor(means, dtype=torch.float64)[:, None, None].expand(-1, 4, 3)}}


X = torch.linspace(-2, 2, 36, dtype=torch.float64).reshape(2, 6, 3)


def test_guided_gaussian_is_the_gaussian_of_the_scaled_mean() -> None:
    """uncond N(0, s^2), cond N(m, s^2): guidance g is exactly N(g m, s^2), and Heun samples that."""
    cond, scale, sigma_max = condition([0.2, -0.1]), 3.0, 60.0
    guided = Guidance(scale)(Recorder(), cond)
    noise = SeededNoise([0, 1])
    start = noise((2, 6, 50)).double() * sigma_max
    *_, last = Heun()(guided, start, KarrasSchedule(1e-3, sigma_max)(128), noise=noise)
    means = scale * torch.tensor([0.2, -0.1], dtype=torch.float64)[:, None, None]
    exact = means + STD * (start - means) / math.sqrt(STD**2 + sigma_max**2)
    torch.testing.assert_close(last.x, exact, rtol=0, atol=3e-3)


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_scales_that_mean_plain_conditional(scale: float) -> None:
    denoiser, cond = Recorder(), condition([0.2, -0.1])
    result = Guidance(scale)(denoiser, cond)(X, 1.0)
    assert denoiser.batches == [2]
    torch.testing.assert_close(result, denoiser(X, 1.0, **cond))


def test_halves_of_one_shape_are_one_call_and_others_two() -> None:
    cond = condition([0.2, -0.1])
    joined, apart = Recorder(), Recorder()
    shorter = {"grids": {"text": torch.zeros(2, 4, 1, dtype=torch.float64)}}
    one = Guidance(3.0)(joined, cond)(X, 0.7)
    two = Guided(apart, cond, shorter, Guidance(3.0))(X, 0.7)
    assert (joined.batches, apart.batches) == ([4], [2, 2])
    torch.testing.assert_close(one, two)
    absent = Recorder()
    with_points = cond | {"low_res": torch.ones(2, 6, 5)}
    torch.testing.assert_close(Guided(absent, with_points, shorter, Guidance(3.0))(X, 0.7), one)
    assert absent.batches == [2, 2]


def test_interval_of_levels() -> None:
    denoiser, cond = Recorder(), condition([0.2, -0.1])
    always = Guidance(3.0)(denoiser, cond)
    sometimes = Guidance(3.0, interval=(0.5, 2.0))(denoiser, cond)
    for sigma in (0.1, 5.0):
        torch.testing.assert_close(sometimes(X, sigma), denoiser(X, sigma, **cond))
    torch.testing.assert_close(sometimes(X, 1.0), always(X, 1.0))
    # Levels of a batch are looked at one by one.
    mixed = sometimes(X, torch.tensor([1.0, 5.0], dtype=torch.float64))
    torch.testing.assert_close(mixed[0], always(X, 1.0)[0])
    torch.testing.assert_close(mixed[1], denoiser(X, 5.0, **cond)[1])


def test_guiding_some_channels() -> None:
    denoiser, cond = Recorder(), condition([0.2, -0.1])
    everything = Guidance(3.0)(denoiser, cond)(X, 1.0)
    positions = Guided(denoiser, cond, unconditional(cond), Guidance(3.0), channels=XYZ)(X, 1.0)
    torch.testing.assert_close(positions[:, :3], everything[:, :3])
    torch.testing.assert_close(positions[:, 3:], denoiser(X, 1.0, **cond)[:, 3:])


def test_the_unconditional_twin_loses_everything_unless_told_to_keep() -> None:
    cond = condition([0.2, -0.1]) | {"low_res": torch.ones(2, 6, 5)}
    release = unconditional(cond)
    assert float(release["low_res"].abs().max()) == float(release["grids"]["text"].abs().max()) == 0
    kept = unconditional(cond, keep=("low_res",))
    assert kept["low_res"] is cond["low_res"]
    assert float(kept["grids"]["text"].abs().max()) == 0


def test_positions_have_a_scale_of_their_own() -> None:
    def denoiser(x: Tensor, sigma: object, *, c: Tensor) -> Tensor:
        return x + c

    x = torch.randn(2, 6, 4)
    cond = {"c": torch.ones(2, 1, 1)}
    guided = Guidance(3.0, leading_scale=1.5)(denoiser, cond)(x, 1.0)
    torch.testing.assert_close(guided - x, torch.tensor([1.5] * 3 + [3.0] * 3)[None, :, None].expand(2, 6, 4))
    plain = Guidance(1.0, leading_scale=1.5)(denoiser, cond)(x, 1.0)
    torch.testing.assert_close(plain - x, torch.tensor([1.5] * 3 + [1.0] * 3)[None, :, None].expand(2, 6, 4))


def test_what_is_kept_is_not_guided_and_nothing_else_is_one_call() -> None:
    denoiser, cond = Recorder(), condition([0.2, -0.1])
    assert torch.equal(Guidance(3.0, keep=("grids",))(denoiser, cond)(X, 1.0), PLAIN(denoiser, cond)(X, 1.0))
    assert denoiser.batches == [2, 2]


def test_conditions_are_prepared_after_the_unconditional_ones_are_made_of_them() -> None:
    denoiser, cond = Recorder(), condition([0.2, -0.1])

    def shifted(half: Condition) -> Condition:
        return {"grids": {name: grid + 1 for name, grid in half["grids"].items()}}

    prepared = Guidance(3.0)(denoiser, cond, shifted)(X, 1.0)
    torch.testing.assert_close(prepared, Guided(denoiser, shifted(cond), shifted(unconditional(cond)))(X, 1.0))


def test_guiding_the_noise_is_guiding_the_clean_sample_in_x_y_z() -> None:
    """x0 is linear in the noise; the clip comes after the guidance."""
    process = DiscreteProcess("cosine", 64)

    def net(x: Tensor, t: Tensor, *, c: Tensor) -> Tensor:
        return torch.cat([x * c, t[:, None, None].expand_as(x)], dim=1)

    x, cond, sigma = torch.randn(2, 6, 5), {"c": torch.full((2, 1, 1), 0.5)}, float(process.sigmas[20])
    denoiser = DiscreteDenoiser(net, process, clip_denoised=False)
    of_noise = NoiseGuidance(3.0)(denoiser, cond)(x, sigma)
    of_sample = Guided(denoiser, cond, unconditional(cond), Guidance(3.0), channels=XYZ)(x, sigma)
    torch.testing.assert_close(of_noise, of_sample)
    clipped = NoiseGuidance(3.0)(replace(denoiser, clip_denoised=True), cond)(x, sigma)
    assert torch.equal(clipped[:, :6], of_noise[:, :6].clamp(-1, 1))
    with pytest.raises(InputError, match="noise guidance: expected the denoiser of a network"):
        NoiseGuidance(3.0)(Recorder(), cond)
