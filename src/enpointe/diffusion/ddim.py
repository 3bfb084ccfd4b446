"""Single steps of DDIM: Song et al. 2021 (arXiv 2010.02502), in the VP frame of a discrete process.

Whole runs are better made with `ancestral` at eta 0, which is this method on any noise levels.
"""

from __future__ import annotations

from torch import Tensor

from enpointe.diffusion.posterior import at, eps_from_x0
from enpointe.diffusion.schedule import DiscreteProcess


def ddim_step(
    process: DiscreteProcess, x_t: Tensor, x0: Tensor, index: Tensor, noise: Tensor, *, eta: float = 0.0
) -> Tensor:
    """x_{t-1} from x_t and a prediction of x0, equations 12 and 16. x_t, x0, noise (N, C, P) -> (N, C, P).

    Args:
        index: (N,) kept steps; at 0 the result is x0.
        noise: standard normal draws, used as far as eta says: 0 is deterministic, 1 is DDPM's variance.
    """
    now, before = process.alphas_cumprod, process.alphas_cumprod_prev
    sigma = eta * ((1 - before) / (1 - now) * (1 - now / before)).sqrt()
    direction = (1 - before - sigma**2).clamp(min=0).sqrt()
    mean = at(before.sqrt(), index, x_t) * x0 + at(direction, index, x_t) * eps_from_x0(process, x_t, index, x0)
    return mean + at(sigma, index, x_t) * noise


def ddim_inverse_step(process: DiscreteProcess, x_t: Tensor, x0: Tensor, index: Tensor) -> Tensor:
    """x_{t+1} from x_t and a prediction of x0, the deterministic step taken the other way. (N, C, P)

    From the last step on the way leads to pure noise, where alpha_bar is 0.
    """
    now = process.alphas_cumprod
    after = now.new_zeros(len(now))
    after[:-1] = now[1:]
    eps = eps_from_x0(process, x_t, index, x0)
    return at(after.sqrt(), index, x_t) * x0 + at((1 - after).sqrt(), index, x_t) * eps
