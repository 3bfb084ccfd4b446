from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from enpointe.core.errors import InputError
from enpointe.diffusion.channels import ChannelScaling
from enpointe.diffusion.schedule import DiscreteProcess, KarrasSchedule, VelocityProcess, velocity_time


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("respacing", ["", "20", "7,3", "1024"])
def test_a_respaced_process_keeps_the_noise_of_its_steps(schedule: str, respacing: str) -> None:
    whole, process = DiscreteProcess(schedule), DiscreteProcess(schedule, respacing=respacing)
    assert torch.equal(process.alphas_cumprod, whole.alphas_cumprod[process.timesteps])
    torch.testing.assert_close(torch.cumprod(1 - process.betas, 0), process.alphas_cumprod, rtol=1e-9, atol=0)
    assert bool((process.timesteps.diff() > 0).all())
    # Both ends are kept, and the time told at a kept step is that step.
    assert process.timesteps[[0, -1]].tolist() == [0, 1023]
    index = torch.arange(len(process)).double()
    assert torch.equal(process.index_to_time(index), process.timesteps.double())


def test_sections_are_respaced_one_by_one() -> None:
    process = DiscreteProcess("linear", steps=11, respacing="3,2")
    assert process.timesteps.tolist() == [0, 2, 5, 6, 10]  # sections of 6 and 5; 2.5 rounds to even


@given(st.floats(1e-3, 500.0))
@settings(max_examples=50, deadline=None)
def test_sigma_to_index_inverts_the_table(sigma: float) -> None:
    """alpha_bar is linear in the index between two steps, and held beyond the ends."""
    process = DiscreteProcess("linear")
    index = float(process.sigma_to_index(sigma))
    low, high = math.floor(index), math.ceil(index)
    alpha_bar = torch.lerp(process.alphas_cumprod[low], process.alphas_cumprod[high], index - low)
    expected = 1 / (1 + sigma**2)
    limits = process.alphas_cumprod[[-1, 0]].tolist()
    assert float(alpha_bar) == pytest.approx(min(max(expected, limits[0]), limits[1]), rel=1e-7)


def test_sigmas_are_noise_to_signal() -> None:
    process = DiscreteProcess("cosine")
    torch.testing.assert_close(process.sigma_to_index(process.sigmas), torch.arange(1024.0, dtype=torch.float64))


def test_times_between_kept_steps_are_interpolated() -> None:
    process = DiscreteProcess("cosine", respacing="3")  # steps 0, 512 (of 511.5, rounded to even), 1023
    assert process.index_to_time(torch.tensor([0.5, 1.25])).tolist() == [256.0, 512 + 511 / 4]


def test_karras_levels() -> None:
    sigmas = KarrasSchedule(0.01, 50.0)(10)
    assert sigmas.shape == (11,)
    assert sigmas[[0, -2, -1]].tolist() == pytest.approx([50.0, 0.01, 0.0])
    roots = sigmas[:-1] ** (1 / 7)
    torch.testing.assert_close(roots.diff(), roots.diff().mean().expand(9))
    assert KarrasSchedule(0.01, 50.0)(1).tolist() == pytest.approx([50.0, 0.0])


def test_training_times_are_logit_normal() -> None:
    z = torch.linspace(-3, 3, 7, dtype=torch.float64)
    sigmas = VelocityProcess(mean=0.5, std=2.0).training_sigmas(z)
    fraction = velocity_time(sigmas) / 1000
    torch.testing.assert_close(torch.logit(fraction), 0.5 + 2 * z)
    assert float(VelocityProcess().training_sigmas(torch.zeros(()))) == pytest.approx(1.0)
    extremes = VelocityProcess(std=30.0).training_sigmas(torch.tensor([-4.0, 4.0]))
    assert 0 <= float(extremes[0]) < 1e-6
    assert 1e4 < float(extremes[1]) < 1e6


def test_channel_scaling_brings_world_units_to_one_and_back() -> None:
    corners = torch.tensor([[-0.5, 0.5], [0.0, 0.25], [0.5, -0.5], [0.0, 255.0], [127.5, 255.0], [255.0, 0.0]])
    x = ChannelScaling().to_model(corners[None])
    expected = torch.tensor([[-1, 1], [0, 0.5], [1, -1], [-1, 1], [0, 1], [1, -1]])
    torch.testing.assert_close(x[0], expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(ChannelScaling().to_world(x)[0], corners, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    "options", [{"schedule": "sigmoid"}, {"steps": 1}, {"respacing": "x"}, {"respacing": "0"}, {"respacing": "600,20"}]
)
def test_impossible_processes(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match="expected"):
        DiscreteProcess(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("steps", "low", "high"), [(0, 0.1, 1.0), (5, 0.0, 1.0), (5, 2.0, 1.0), (5, 0.1, math.inf)])
def test_impossible_grids(steps: int, low: float, high: float) -> None:
    with pytest.raises(InputError, match="expected"):
        KarrasSchedule(low, high)(steps)


def test_impossible_spread() -> None:
    with pytest.raises(InputError, match="more than 0"):
        VelocityProcess(std=0.0)
