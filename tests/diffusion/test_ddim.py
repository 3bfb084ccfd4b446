"""DDIM's steps against what they must give where x_t is known, and against DDPM's posterior."""

from __future__ import annotations

import torch

from enpointe.diffusion.ddim import ddim_inverse_step, ddim_step
from enpointe.diffusion.posterior import eps_from_x0, posterior_mean, x0_from_eps, x0_from_previous
from enpointe.diffusion.schedule import DiscreteProcess

PROCESS = DiscreteProcess("cosine", 64, "8")
INDEX = torch.tensor([0, 3, 7])
GENERATOR = torch.Generator().manual_seed(0)
X0, EPS, NOISE = (torch.randn(3, 6, 5, generator=GENERATOR, dtype=torch.float64) for _ in range(3))


def diffused(index: torch.Tensor) -> torch.Tensor:
    alpha_bar = PROCESS.alphas_cumprod[index][:, None, None]
    return alpha_bar.sqrt() * X0 + (1 - alpha_bar).sqrt() * EPS


def test_without_noise_a_step_keeps_x0_and_eps() -> None:
    before = PROCESS.alphas_cumprod_prev[INDEX][:, None, None]
    found = ddim_step(PROCESS, diffused(INDEX), X0, INDEX, NOISE)
    torch.testing.assert_close(found, before.sqrt() * X0 + (1 - before).sqrt() * EPS)
    torch.testing.assert_close(found[0], X0[0])


def test_the_inverse_step_undoes_it() -> None:
    index = INDEX.clamp(1)
    before = ddim_step(PROCESS, diffused(index), X0, index, NOISE)
    torch.testing.assert_close(ddim_inverse_step(PROCESS, before, X0, index - 1), diffused(index))
    end = ddim_inverse_step(PROCESS, diffused(INDEX), X0, INDEX)[2]
    torch.testing.assert_close(end, EPS[2])


def test_at_eta_1_it_is_the_posterior_of_ddpm() -> None:
    x_t, nothing = diffused(INDEX), torch.zeros_like(NOISE)
    mean = ddim_step(PROCESS, x_t, X0, INDEX, nothing, eta=1.0)
    torch.testing.assert_close(mean, posterior_mean(PROCESS, X0, x_t, INDEX))
    spread = ddim_step(PROCESS, x_t, X0, INDEX, NOISE, eta=1.0) - mean
    torch.testing.assert_close(spread, PROCESS.posterior_variance[INDEX].sqrt()[:, None, None] * NOISE)


def test_predictions_convert_back() -> None:
    x_t = diffused(INDEX)
    torch.testing.assert_close(eps_from_x0(PROCESS, x_t, INDEX, X0), EPS)
    torch.testing.assert_close(x0_from_eps(PROCESS, x_t, INDEX, EPS), X0)
    previous = posterior_mean(PROCESS, X0, x_t, INDEX)
    torch.testing.assert_close(x0_from_previous(PROCESS, x_t, INDEX, previous), X0)
