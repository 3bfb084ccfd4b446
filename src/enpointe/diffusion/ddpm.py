"""Ancestral sampling of a discrete process: Ho et al. 2020 (arXiv 2006.11239), algorithm 2.

With the learned variance of Nichol and Dhariwal 2021 (arXiv 2102.09672, section 3.1) where the
network has one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor

from enpointe.diffusion.posterior import log_variance, posterior_mean, split_output, x0_from_eps
from enpointe.diffusion.schedule import DiscreteProcess
from enpointe.diffusion.step import Noise, Step


def ddpm(
    net: Callable[[Tensor, Tensor], Tensor],
    process: DiscreteProcess,
    x: Tensor,
    *,
    noise: Noise,
    clip_denoised: bool = True,
    draw_unused: bool = False,
) -> Iterator[Step]:
    """Carries x (N, C, P) of N(0, 1) through the whole process, in the VP frame; len(process) evaluations.

    Args:
        net: (x_t (N, C, P), t (N,)) -> predicted noise, (N, C, P) or (N, 2 C, P), conditions bound.
            For the release's guidance, of the noise of x, y, z only, give a `Guided` network with
            channels=XYZ; the clip then comes after the guidance, where a guided denoiser's comes before.
        noise: one draw a step, but none in the last.
        clip_denoised: clip the predicted x0 to [-1, 1].
        draw_unused: draw in the last step too, as in `heun`.
    """
    n = len(process)
    denoised = x
    for i, step in enumerate(reversed(range(n))):
        index = process.timesteps.new_full((len(x),), step)
        output = net(x, process.timesteps[index].to(x)).to(x.dtype)
        eps, values = split_output(output, x.shape[1])
        denoised = x0_from_eps(process, x, index, eps)
        if clip_denoised:
            denoised = denoised.clamp(-1, 1)
        yield Step(x, denoised, float(process.sigmas[step]), i)
        mean = posterior_mean(process, denoised, x, index)
        if step > 0:
            x = mean + (log_variance(process, values, index, x) / 2).exp() * noise(x.shape).to(x)
        else:
            x = mean
            if draw_unused:
                noise(x.shape)
    yield Step(x, denoised, 0.0, n)
