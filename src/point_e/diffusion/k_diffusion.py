"""Sampling on Karras' noise levels (Karras et al. 2022, arXiv 2206.00364): the release's functions, each going
through the others as there, so that one put in place of any of them is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from enpointe.core.errors import InputError
from enpointe.diffusion.schedule import KarrasSchedule
from point_e._originals import Originals

from .gaussian_diffusion import GaussianDiffusion, Kwargs, Model, mean_flat

Denoise = Callable[[Tensor, Tensor], Tensor]
"""(x (N, C, P), sigma (N,)) -> x0 (N, C, P)."""
Steps = Iterator[dict[str, Any]]
"""Of every step "x" and "pred_xstart" (N, C, P), its "i", and its noise level before and after churn, "sigma" and
"sigma_hat"; the last holds the result, and only the first two."""


class KarrasDenoiser:
    """Training and denoising of a network with Karras' scalings (section 5). No released model is one."""

    def __init__(self, sigma_data: float = 0.5) -> None:
        self.sigma_data = sigma_data

    def get_snr(self, sigmas: Tensor) -> Tensor:
        """Signal to noise at noise levels, as variances."""
        return sigmas**-2

    def get_sigmas(self, sigmas: Tensor) -> Tensor:
        """The noise levels themselves."""
        return sigmas

    def get_scalings(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Factors of x, of the network's output and of its input."""
        total = sigma**2 + self.sigma_data**2
        return self.sigma_data**2 / total, sigma * self.sigma_data / total.sqrt(), 1 / total.sqrt()

    def training_losses(
        self, model: Model, x_start: Tensor, sigmas: Tensor, model_kwargs: Kwargs = None, noise: Tensor | None = None
    ) -> dict[str, Tensor]:
        """ "loss" and "mse" of the network's output, "xs_mse" of the clean sample: each (N,). x_start (N, C, P)."""
        if noise is None:
            noise = torch.randn_like(x_start)
        x_t = x_start + noise * append_dims(sigmas, x_start.ndim)
        of_x, of_output, _ = (append_dims(factor, x_start.ndim) for factor in self.get_scalings(sigmas))
        output, denoised = self.denoise(model, x_t, sigmas, **(model_kwargs or {}))
        mse = mean_flat((output - (x_start - of_x * x_t) / of_output) ** 2)
        return {"mse": mse, "xs_mse": mean_flat((denoised - x_start) ** 2), "loss": mse}

    def denoise(self, model: Model, x_t: Tensor, sigmas: Tensor, **model_kwargs: Any) -> tuple[Tensor, Tensor]:
        """x_t (N, C, P) at sigmas (N,) -> the network's output and the expected x_0."""
        of_x, of_output, of_input = (append_dims(factor, x_t.ndim) for factor in self.get_scalings(sigmas))
        # 250 log sigma is what the network is given for a time; the least float keeps sigma 0 finite.
        output = model(of_input * x_t, 250 * torch.log(sigmas + 1e-44), **model_kwargs)
        return output, of_output * output + of_x * x_t


class GaussianToKarrasDenoiser:
    """A network of a discrete process as a denoiser at any noise level."""

    def __init__(self, model: Model, diffusion: GaussianDiffusion) -> None:
        self.model = model
        self.diffusion = diffusion

    def alpha_cumprod_to_t(self, alpha_cumprod: float) -> float:
        """The step, with a fraction, at which the process has this product of alphas."""
        steps = np.arange(self.diffusion.num_timesteps)
        return float(np.interp(alpha_cumprod, self.diffusion.alphas_cumprod[::-1], steps[::-1]))

    def sigma_to_t(self, sigma: float) -> int:
        """The step of the process at a noise level, truncated; beyond its ends the first or the last."""
        return int(self.alpha_cumprod_to_t(1 / (1 + float(sigma) ** 2)))

    def denoise(
        self, x_t: Tensor, sigmas: Tensor, clip_denoised: bool = True, model_kwargs: Kwargs = None
    ) -> tuple[None, Tensor]:
        """x_t (N, C, P) at sigmas (N,) -> None and the expected x_0 (N, C, P)."""
        t = torch.tensor([self.sigma_to_t(sigma) for sigma in sigmas.tolist()], device=sigmas.device)
        scale = append_dims(1 / (1 + sigmas**2).sqrt(), x_t.ndim)
        out = self.diffusion.p_mean_variance(
            self.model, x_t * scale, t, clip_denoised=clip_denoised, model_kwargs=model_kwargs
        )
        return None, out["pred_xstart"]


def karras_sample(*args: Any, **kwargs: Any) -> Tensor:
    """Where `karras_sample_progressive` arrives, in world units (N, C, P)."""
    *_, out = karras_sample_progressive(*args, **kwargs)
    x: Tensor = out["x"]
    return x


@torch.no_grad()
def karras_sample_progressive(
    diffusion: GaussianDiffusion | KarrasDenoiser,
    model: Model,
    shape: Sequence[int],
    steps: int,
    clip_denoised: bool = True,
    progress: bool = False,
    model_kwargs: Kwargs = None,
    device: torch.device | str | None = None,
    sigma_min: float = 0.002,
    sigma_max: float = 80,
    rho: float = 7.0,
    sampler: str = "heun",
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = math.inf,
    s_noise: float = 1.0,
    guidance_scale: float = 0.0,
) -> Steps:
    """Draws samples; see `Steps`: in world units, of a `KarrasDenoiser` in its own.

    Args:
        model_kwargs: conditions of the network. With guidance (a scale other than 0 and 1) each is of
            twice the batch: first the conditions, then the unconditional ones.
        sampler: "heun", "dpm" or "ancestral".

    Raises:
        InputError: another sampler, or a diffusion that is neither a `GaussianDiffusion` nor a `KarrasDenoiser`.
    """
    samplers: dict[str, Callable[..., Steps]] = {
        "heun": sample_heun, "dpm": sample_dpm, "ancestral": sample_euler_ancestral,
    }  # fmt: skip
    if sampler not in samplers:
        raise InputError(f"sampler: expected one of {', '.join(samplers)}, found {sampler!r}")
    denoise = _denoiser(diffusion, model, clip_denoised, model_kwargs)
    if guidance_scale not in (0, 1):
        denoise = _guided(denoise, guidance_scale)
    sigmas = get_sigmas_karras(steps, sigma_min, sigma_max, rho, device=device)
    x = torch.randn(*shape, device=device) * sigma_max
    churn = {"s_churn": s_churn, "s_tmin": s_tmin, "s_tmax": s_tmax, "s_noise": s_noise}
    for out in samplers[sampler](denoise, x, sigmas, progress=progress, **({} if sampler == "ancestral" else churn)):
        yield diffusion.unscale_out_dict(out) if isinstance(diffusion, GaussianDiffusion) else out


def _denoiser(
    diffusion: GaussianDiffusion | KarrasDenoiser, model: Model, clip_denoised: bool, model_kwargs: Kwargs
) -> Denoise:
    if isinstance(diffusion, KarrasDenoiser):

        def preconditioned(x: Tensor, sigma: Tensor) -> Tensor:
            denoised = diffusion.denoise(model, x, sigma, **(model_kwargs or {}))[1]
            return denoised.clamp(-1, 1) if clip_denoised else denoised

        return preconditioned
    if not isinstance(diffusion, GaussianDiffusion):
        raise InputError(f"diffusion: expected a GaussianDiffusion, found {type(diffusion).__name__}")
    karras = GaussianToKarrasDenoiser(model, diffusion)
    return lambda x, sigma: karras.denoise(x, sigma, clip_denoised=clip_denoised, model_kwargs=model_kwargs)[1]


def _guided(denoise: Denoise, scale: float) -> Denoise:
    """Of a denoiser of twice the batch, conditional and not."""

    def guided(x: Tensor, sigma: Tensor) -> Tensor:
        cond, uncond = denoise(torch.cat([x, x]), torch.cat([sigma, sigma])).chunk(2)
        return uncond + scale * (cond - uncond)

    return guided


def get_sigmas_karras(
    n: int, sigma_min: float, sigma_max: float, rho: float = 7.0, device: torch.device | str | None = "cpu"
) -> Tensor:
    """Falling noise levels and a trailing zero, (n + 1,) float32 (equation 5)."""
    return append_zero(KarrasSchedule(sigma_min, sigma_max, rho)(n)[:-1].float()).to(device)


def to_d(x: Tensor, sigma: Tensor, denoised: Tensor) -> Tensor:
    """dx/dsigma of the probability flow at sigma, one number or (N,)."""
    return (x - denoised) / append_dims(sigma, x.ndim)


def get_ancestral_step(sigma_from: Tensor, sigma_to: Tensor) -> tuple[Tensor, Tensor]:
    """The level that a step goes down to, and that of the noise which lifts it to sigma_to."""
    up = (sigma_to**2 * (sigma_from**2 - sigma_to**2) / sigma_from**2) ** 0.5
    return (sigma_to**2 - up**2) ** 0.5, up


@torch.no_grad()
def sample_euler_ancestral(model: Denoise, x: Tensor, sigmas: Tensor, progress: bool = False) -> Steps:
    """Euler's method with ancestral noise."""
    for i in _indices(sigmas, progress):
        sigma = sigmas[i]
        denoised = model(x, _of_batch(sigma, x))
        yield {"x": x, "i": i, "sigma": sigma, "sigma_hat": sigma, "pred_xstart": denoised}
        down, up = get_ancestral_step(sigma, sigmas[i + 1])
        x = x + (down - sigma) * to_d(x, sigma, denoised)
        x = x + up * torch.randn_like(x)
    yield {"x": x, "pred_xstart": x}


@torch.no_grad()
def sample_heun(
    denoiser: Denoise,
    x: Tensor,
    sigmas: Tensor,
    progress: bool = False,
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = math.inf,
    s_noise: float = 1.0,
) -> Steps:
    """Heun's method with churn (algorithm 2)."""
    denoised = x
    for i in _indices(sigmas, progress):
        x, sigma_hat = _churned(x, sigmas, i, s_churn, s_tmin, s_tmax, s_noise)
        denoised = denoiser(x, _of_batch(sigma_hat, x))
        yield {"x": x, "i": i, "sigma": sigmas[i], "sigma_hat": sigma_hat, "pred_xstart": denoised}
        slope, width = to_d(x, sigma_hat, denoised), sigmas[i + 1] - sigma_hat
        if sigmas[i + 1] > 0:
            there = x + width * slope
            slope = (slope + to_d(there, sigmas[i + 1], denoiser(there, _of_batch(sigmas[i + 1], x)))) / 2
        x = x + width * slope
    yield {"x": x, "pred_xstart": denoised}


@torch.no_grad()
def sample_dpm(
    denoiser: Denoise,
    x: Tensor,
    sigmas: Tensor,
    progress: bool = False,
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = math.inf,
    s_noise: float = 1.0,
) -> Steps:
    """A midpoint method with churn, as of DPM-Solver-2 (Lu et al. 2022, arXiv 2206.00927).

    Its steps have the prediction under the release's name "denoised" too.
    """
    denoised = x
    for i in _indices(sigmas, progress):
        x, sigma_hat = _churned(x, sigmas, i, s_churn, s_tmin, s_tmax, s_noise)
        denoised = denoiser(x, _of_batch(sigma_hat, x))
        of_step = {"i": i, "sigma": sigmas[i], "sigma_hat": sigma_hat}
        yield {"x": x, **of_step, "denoised": denoised, "pred_xstart": denoised}
        # Midway on Karras' levels for a rho of 3.
        middle = ((sigma_hat ** (1 / 3) + sigmas[i + 1] ** (1 / 3)) / 2) ** 3
        there = x + (middle - sigma_hat) * to_d(x, sigma_hat, denoised)
        x = x + (sigmas[i + 1] - sigma_hat) * to_d(there, middle, denoiser(there, _of_batch(middle, x)))
    yield {"x": x, "pred_xstart": denoised}


def _churned(
    x: Tensor, sigmas: Tensor, i: int, s_churn: float, s_tmin: float, s_tmax: float, s_noise: float
) -> tuple[Tensor, Tensor]:
    """New noise lifts x to a higher level; noise is drawn also where none is added."""
    sigma = sigmas[i]
    noise = torch.randn_like(x) * s_noise
    gamma = min(s_churn / (len(sigmas) - 1), 2**0.5 - 1) if s_tmin <= sigma <= s_tmax else 0.0
    sigma_hat = sigma * (1 + gamma)
    return (x + (sigma_hat**2 - sigma**2) ** 0.5 * noise if gamma > 0 else x), sigma_hat


def append_dims(x: Tensor, target_dims: int) -> Tensor:
    """x with further axes of length 1 behind, target_dims in all."""
    if x.ndim > target_dims:
        raise InputError(f"dimensions: expected at most {target_dims}, found {x.ndim}")
    return x.reshape(*x.shape, *[1] * (target_dims - x.ndim))


def append_zero(x: Tensor) -> Tensor:
    """x (n,) with a zero behind."""
    return torch.cat([x, x.new_zeros(1)])


def _indices(sigmas: Tensor, progress: bool) -> Iterator[int]:
    steps = range(len(sigmas) - 1)
    return iter(tqdm(steps) if progress else steps)


def _of_batch(sigma: Tensor, x: Tensor) -> Tensor:
    return sigma * x.new_ones(len(x))


ORIGINALS = Originals(globals())
