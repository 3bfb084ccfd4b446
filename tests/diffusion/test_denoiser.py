"""Networks that are exact for Gaussian data must give exact denoisers, and losses in closed form."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from enpointe.core.errors import InputError
from enpointe.diffusion.denoiser import EpsDenoiser, ExpertDenoiser, FlowDenoiser, NetworkDenoiser, VelocityDenoiser
from enpointe.diffusion.loss import eps_loss, velocity_loss
from enpointe.diffusion.posterior import log_variance, posterior_mean
from enpointe.diffusion.schedule import DiscreteProcess, VelocityProcess, velocity_time

MEAN, STD = 0.2, 0.3
PROCESS = DiscreteProcess("cosine")


def exact_denoised(x: Tensor, sigma: Tensor) -> Tensor:
    return (STD**2 * x + sigma**2 * MEAN) / (STD**2 + sigma**2)


def eps_net(x_t: Tensor, t: Tensor, **cond: Any) -> Tensor:
    """Exact noise at times of the cosine process, between its steps too, with variance channels."""
    below, above = t.long(), (t.long() + 1).clamp(max=1023)
    alpha_bar = torch.lerp(PROCESS.alphas_cumprod[below], PROCESS.alphas_cumprod[above], t - below)
    sigma = ((1 - alpha_bar) / alpha_bar).sqrt()[:, None, None]
    x = x_t * (1 + sigma**2).sqrt()
    eps = (x - exact_denoised(x, sigma)) / sigma
    return torch.cat([eps, torch.zeros_like(eps)], dim=1)


def velocity_net(x_t: Tensor, t: Tensor, **cond: Any) -> Tensor:
    sigma = torch.tan(t / 1000 * math.pi / 2)[:, None, None]
    cos, sin = torch.atan(sigma).cos(), torch.atan(sigma).sin()
    x0 = exact_denoised(x_t / cos, sigma)
    eps = (x_t - cos * x0) / sin
    return cos * eps - sin * x0


def flow_net(x_t: Tensor, t: Tensor, **cond: Any) -> Tensor:
    t = t[:, None, None]
    x0 = exact_denoised(x_t / (1 - t), t / (1 - t))
    return (x_t - x0) / t


def draws(seed: int, n: int = 5) -> Tensor:
    return torch.randn(n, 6, 7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


SIGMAS = torch.tensor([0.02, 0.3, 1.0, 7.0, 90.0], dtype=torch.float64)


@pytest.mark.parametrize(
    "denoiser",
    [
        EpsDenoiser(eps_net, PROCESS, clip_denoised=False, integer_time=False),
        VelocityDenoiser(velocity_net, clip_denoised=False),
        FlowDenoiser(flow_net),
    ],
)
def test_exact_networks_denoise_exactly(denoiser: NetworkDenoiser) -> None:
    x = draws(0) * (1 + SIGMAS[:, None, None])
    expected = exact_denoised(x, SIGMAS[:, None, None])
    torch.testing.assert_close(denoiser(x, SIGMAS), expected, rtol=1e-6, atol=1e-9)
    one_by_one = [denoiser(x[i : i + 1], float(SIGMAS[i])) for i in range(5)]
    torch.testing.assert_close(torch.cat(one_by_one), expected, rtol=1e-6, atol=1e-9)


def test_integer_time_uses_the_level_of_the_step() -> None:
    """The network and the formula both take the truncated step's level for sigma's own."""
    times: list[Tensor] = []

    def net(x_t: Tensor, t: Tensor, **cond: Any) -> Tensor:
        times.append(t)
        return eps_net(x_t, t)

    x = draws(1)
    sigma = 0.999 * PROCESS.sigmas[401] + 0.001 * PROCESS.sigmas[400]
    denoised = EpsDenoiser(net, PROCESS, clip_denoised=False)(x, float(sigma))
    assert times[0].tolist() == [400.0] * 5
    level = PROCESS.sigmas[400]
    expected = exact_denoised(x / (1 + sigma**2).sqrt() * (1 + level**2).sqrt(), level)
    torch.testing.assert_close(denoised, expected)


@pytest.mark.parametrize("denoiser", [EpsDenoiser(eps_net, PROCESS), VelocityDenoiser(velocity_net)])
def test_clipping(denoiser: EpsDenoiser | VelocityDenoiser) -> None:
    denoised = denoiser(torch.full((1, 6, 4), 3.0, dtype=torch.float64), 0.05)
    assert bool((denoised == 1.0).all())


def test_wrong_number_of_channels() -> None:
    with pytest.raises(InputError, match="expected 6 or 12 channels, found 4"):
        VelocityDenoiser(lambda x, t, **cond: x[:, :4])(draws(2), 1.0)


def test_velocity_loss_of_known_networks() -> None:
    x0, noise = draws(3), draws(4)

    def truth(x_t: Tensor, t: Tensor, **cond: Any) -> Tensor:
        torch.testing.assert_close(t, velocity_time(SIGMAS))
        alpha = (1 / (1 + SIGMAS**2).sqrt())[:, None, None]
        torch.testing.assert_close(x_t, alpha * (x0 + SIGMAS[:, None, None] * noise))
        return alpha * noise - alpha * SIGMAS[:, None, None] * x0 + offsets[:, None, None]

    offsets = torch.arange(5, dtype=torch.float64)
    torch.testing.assert_close(velocity_loss(truth, x0, SIGMAS, noise), offsets**2)


def test_the_exact_network_minimises_the_velocity_loss() -> None:
    x0 = MEAN + STD * draws(5, 4000)
    z = draws(6, 4000)[:, 0, 0]
    sigma = VelocityProcess().training_sigmas(z)

    def loss(factor: float) -> float:
        return float(velocity_loss(lambda x, t: factor * velocity_net(x, t), x0, sigma, draws(7, 4000)).mean())

    # What is left is the noise that nobody can know: var(v | x_t) = var(x0 | x) / sin^2.
    unknown = STD**2 * sigma**2 / (STD**2 + sigma**2) / torch.atan(sigma).sin() ** 2
    assert loss(1.0) == pytest.approx(float(unknown.mean()), rel=0.02)
    assert loss(1.0) < min(loss(0.95), loss(1.05))


def test_eps_loss_terms() -> None:
    x0, noise = draws(8), draws(9)
    index = torch.tensor([0, 1, 300, 700, 1023])
    value = 0.4

    def truth(x_t: Tensor, t: Tensor, **cond: Any) -> Tensor:
        return torch.cat([noise, torch.full_like(noise, value)], dim=1)

    losses = eps_loss(truth, PROCESS, x0, index, noise)
    assert float(losses.mse.abs().max()) == 0
    # With the means equal the bound is that of two Gaussians of different width.
    low, high = PROCESS.posterior_log_variance_clipped[index], PROCESS.betas[index].log()
    gap = (high - low) * (value + 1) / 2
    bits = 0.5 * (gap - 1 + (-gap).exp()) / math.log(2)
    bits[0] = 0.0
    torch.testing.assert_close(losses.vb, bits, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(losses.loss, losses.mse + losses.vb)


def test_the_bound_teaches_the_variance_only() -> None:
    eps = draws(10).requires_grad_()
    values = torch.zeros(5, 6, 7, dtype=torch.float64, requires_grad=True)
    losses = eps_loss(
        lambda x, t: torch.cat([eps, values], dim=1),
        PROCESS,
        draws(11),
        torch.tensor([0, 1, 300, 700, 1023]),
        draws(12),
    )
    of_eps, of_values = torch.autograd.grad(losses.vb.sum(), [eps, values])
    assert float(of_eps.abs().max()) == 0
    assert float(of_values[1:].abs().min()) > 0
    assert float(of_values[0].abs().max()) == 0


def test_a_network_without_variance_has_no_bound() -> None:
    x0, noise = draws(13), draws(14)
    losses = eps_loss(lambda x, t: torch.zeros_like(x), PROCESS, x0, torch.full((5,), 9), noise)
    torch.testing.assert_close(losses.loss, (noise**2).mean((1, 2)))
    assert losses.vb.tolist() == [0.0] * 5


def test_posterior_against_bayes() -> None:
    """q(x_{t-1} | x_t, x0) from the product of the two Gaussians it is made of."""
    process = DiscreteProcess("linear", respacing="50")
    index = torch.tensor([1, 10, 49])
    x0, x_t = draws(15, 3), draws(16, 3)
    beta, before = process.betas[index], process.alphas_cumprod_prev[index]
    precision = 1 / (1 - before) + (1 - beta) / beta
    pull = before.sqrt()[:, None, None] * x0 / (1 - before)[:, None, None]
    pull = pull + ((1 - beta).sqrt() / beta)[:, None, None] * x_t
    mean = posterior_mean(process, x0, x_t, index)
    torch.testing.assert_close(mean, pull / precision[:, None, None])
    lowest = log_variance(process, None, index, x_t)[:, 0, 0]
    torch.testing.assert_close(lowest, -precision.log())
    assert torch.equal(log_variance(process, torch.full_like(x_t, -1), index, x_t)[:, 0, 0], lowest)
    highest = log_variance(process, torch.full_like(x_t, 1), index, x_t)[:, 0, 0]
    torch.testing.assert_close(highest, beta.log())


def test_experts_take_their_noise_levels() -> None:
    def expert(name: float) -> Any:
        return lambda x, sigma, **cond: torch.full_like(x, name + cond["shift"])

    denoiser = ExpertDenoiser(expert(1.0), expert(2.0), border=0.25)
    x = torch.zeros(2, 6, 4)
    for sigma, value in ((0.3, 1.5), (0.25, 2.5), (torch.tensor([0.1, 0.2]), 2.5), (torch.tensor([9.0, 0.3]), 1.5)):
        assert (denoiser(x, sigma, shift=0.5) == value).all()
    with pytest.raises(InputError, match=r"one side of 0.25, found \[0.5, 0.125\]"):
        denoiser(x, torch.tensor([0.5, 0.125]), shift=0.0)
