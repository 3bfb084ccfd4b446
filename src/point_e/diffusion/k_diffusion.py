"""Sampling on Karras' noise levels with the release's function names, over enpointe's samplers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from enpointe.core.errors import InputError
from enpointe.diffusion.denoiser import EpsDenoiser
from enpointe.diffusion.guidance import Guided
from enpointe.diffusion.preconditioned import Preconditioning
from enpointe.diffusion.sampler import make_sampler
from enpointe.diffusion.samplers.ancestral import down_and_up
from enpointe.diffusion.schedule import KarrasSchedule, Level
from enpointe.diffusion.step import Noise

from .gaussian_diffusion import GaussianDiffusion, Model, mean_flat

SAMPLERS = {"heun": "heun", "dpm": "dpm2", "ancestral": "ancestral"}
"""The release's name of a sampler -> enpointe's."""

Denoise = Callable[[Tensor, Tensor], Tensor]
"""(x (N, C, P), sigma (N,)) -> x0 (N, C, P)."""


class KarrasDenoiser:
    """Training and denoising of a network with Karras' scalings; see `Preconditioning`. No released model is one."""

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
        return self._preconditioning.scalings(sigma)

    def training_losses(
        self,
        model: Model,
        x_start: Tensor,
        sigmas: Tensor,
        model_kwargs: Mapping[str, Any] | None = None,
        noise: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """ "loss" and "mse" of the network's output, "xs_mse" of the clean sample: each (N,). x_start (N, C, P)."""
        drawn = torch.randn_like(x_start) if noise is None else noise
        x_t = x_start + append_dims(sigmas, x_start.ndim) * drawn
        output, denoised = self.denoise(model, x_t, sigmas, **(model_kwargs or {}))
        mse = mean_flat((output - self._preconditioning.target(x_start, x_t, sigmas)) ** 2)
        return {"mse": mse, "xs_mse": mean_flat((denoised - x_start) ** 2), "loss": mse}

    def denoise(self, model: Model, x_t: Tensor, sigmas: Tensor, **model_kwargs: Any) -> tuple[Tensor, Tensor]:
        """x_t (N, C, P) at sigmas (N,) -> the network's output and the expected x_0."""
        return self._preconditioning.denoise(model, x_t, sigmas, **model_kwargs)

    @property
    def _preconditioning(self) -> Preconditioning:
        return Preconditioning(self.sigma_data)


class GaussianToKarrasDenoiser:
    """A network of a discrete process as a denoiser at any noise level; see `EpsDenoiser`."""

    def __init__(self, model: Model, diffusion: GaussianDiffusion) -> None:
        self.model = model
        self.diffusion = diffusion

    def sigma_to_t(self, sigma: float) -> int:
        """The step of the process at a noise level, truncated."""
        return int(self.diffusion.process.sigma_to_index(float(sigma)))

    def denoise(
        self,
        x_t: Tensor,
        sigmas: Tensor,
        clip_denoised: bool = True,
        model_kwargs: Mapping[str, Any] | None = None,
    ) -> tuple[None, Tensor]:
        """x_t (N, C, P) at sigmas (N,) -> None and the expected x_0 (N, C, P)."""
        predict = self.diffusion.noise_predictor(self.model)
        denoiser = EpsDenoiser(predict, self.diffusion.process, clip_denoised)
        return None, denoiser(x_t, sigmas, **(model_kwargs or {}))


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
    model_kwargs: Mapping[str, Any] | None = None,
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
) -> Iterator[dict[str, Any]]:
    """Draws samples; every step gives "x" and "pred_xstart" (N, C, P), in world units (of a `KarrasDenoiser`: its own).

    Args:
        model_kwargs: conditions of the network. With guidance (a scale other than 0 and 1) each is of
            twice the batch: first the conditions, then their unconditional twins.
        sampler: "heun", "dpm" or "ancestral".

    Raises:
        InputError: another sampler, or a diffusion that is neither a `GaussianDiffusion` nor a `KarrasDenoiser`.
    """
    if sampler not in SAMPLERS:
        raise InputError(f"sampler: expected one of {', '.join(SAMPLERS)}, found {sampler!r}")
    denoise = _denoiser(diffusion, model, clip_denoised)
    cond, uncond = dict(model_kwargs or {}), {}
    if guidance_scale not in (0, 1):
        both, n = cond, shape[0]
        cond, uncond = {k: v[:n] for k, v in both.items()}, {k: v[n:] for k, v in both.items()}
    guided = Guided(denoise, cond, uncond, guidance_scale)
    noise = global_noise(device)
    start = noise(shape) * sigma_max
    churn = (
        {} if sampler == "ancestral" else {"s_churn": s_churn, "s_tmin": s_tmin, "s_tmax": s_tmax, "s_noise": s_noise}
    )
    sigmas = KarrasSchedule(sigma_min, sigma_max, rho)(steps)
    for out in _sample(SAMPLERS[sampler], guided, start, sigmas, progress, noise, churn):
        yield diffusion.unscale_out_dict(out) if isinstance(diffusion, GaussianDiffusion) else out


def _denoiser(
    diffusion: GaussianDiffusion | KarrasDenoiser, model: Model, clip_denoised: bool
) -> Callable[..., Tensor]:
    """(x (N, C, P), sigma, **conditions) -> x0."""
    if isinstance(diffusion, KarrasDenoiser):

        def preconditioned(x: Tensor, sigma: Level, /, **cond: Any) -> Tensor:
            denoised = diffusion.denoise(model, x, _of_batch(sigma, x), **cond)[1]
            return denoised.clamp(-1, 1) if clip_denoised else denoised

        return preconditioned
    if not isinstance(diffusion, GaussianDiffusion):
        raise InputError(f"diffusion: expected a GaussianDiffusion, found {type(diffusion).__name__}")
    karras = GaussianToKarrasDenoiser(model, diffusion)

    def denoise(x: Tensor, sigma: Level, /, **cond: Any) -> Tensor:
        return karras.denoise(x, _of_batch(sigma, x), clip_denoised, cond)[1]

    return denoise


def sample_heun(
    denoiser: Denoise,
    x: Tensor,
    sigmas: Tensor,
    progress: bool = False,
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = math.inf,
    s_noise: float = 1.0,
) -> Iterator[dict[str, Any]]:
    """Heun's method with churn; see `enpointe.diffusion.samplers.heun`."""
    churn = {"s_churn": s_churn, "s_tmin": s_tmin, "s_tmax": s_tmax, "s_noise": s_noise}
    return _sample("heun", _by_batch(denoiser), x, sigmas, progress, global_noise(x.device), churn)


def sample_dpm(
    denoiser: Denoise,
    x: Tensor,
    sigmas: Tensor,
    progress: bool = False,
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = math.inf,
    s_noise: float = 1.0,
) -> Iterator[dict[str, Any]]:
    """A midpoint method with churn; see `enpointe.diffusion.samplers.dpm2`."""
    churn = {"s_churn": s_churn, "s_tmin": s_tmin, "s_tmax": s_tmax, "s_noise": s_noise}
    return _sample("dpm2", _by_batch(denoiser), x, sigmas, progress, global_noise(x.device), churn)


def sample_euler_ancestral(
    model: Denoise, x: Tensor, sigmas: Tensor, progress: bool = False
) -> Iterator[dict[str, Any]]:
    """Euler's method with ancestral noise; see `enpointe.diffusion.samplers.ancestral`."""
    return _sample("ancestral", _by_batch(model), x, sigmas, progress, global_noise(x.device), {})


@torch.no_grad()
def _sample(
    name: str,
    denoiser: Callable[[Tensor, Level], Tensor],
    x: Tensor,
    sigmas: Tensor,
    progress: bool,
    noise: Noise,
    options: Mapping[str, float],
) -> Iterator[dict[str, Any]]:
    """A sampler's steps as the release's dictionaries; the last holds the result."""
    n = len(sigmas) - 1
    steps = make_sampler(name, draw_unused=True, **options)(denoiser, x, sigmas, noise=noise)
    for step in tqdm(steps, total=n + 1) if progress else steps:
        out: dict[str, Any] = {"x": step.x, "pred_xstart": step.denoised}
        if step.i < n:
            out |= {"denoised": step.denoised, "i": step.i, "sigma": float(sigmas[step.i]), "sigma_hat": step.sigma}
        yield out


def get_sigmas_karras(
    n: int, sigma_min: float, sigma_max: float, rho: float = 7.0, device: torch.device | str = "cpu"
) -> Tensor:
    """Falling noise levels and a trailing zero, (n + 1,) float32."""
    return KarrasSchedule(sigma_min, sigma_max, rho)(n).float().to(device)


def to_d(x: Tensor, sigma: Tensor, denoised: Tensor) -> Tensor:
    """dx/dsigma of the probability flow at sigma, one number or (N,)."""
    return (x - denoised) / append_dims(sigma, x.ndim)


def get_ancestral_step(sigma_from: Tensor, sigma_to: Tensor) -> tuple[Tensor, Tensor]:
    """The level that a step goes down to, and that of the noise which lifts it to sigma_to."""
    return down_and_up(sigma_from, sigma_to)


def append_zero(x: Tensor) -> Tensor:
    """x (n,) with a zero behind."""
    return torch.cat([x, x.new_zeros(1)])


def append_dims(x: Tensor, target_dims: int) -> Tensor:
    """x with further axes of length 1 behind, target_dims in all."""
    if x.ndim > target_dims:
        raise InputError(f"dimensions: expected at most {target_dims}, found {x.ndim}")
    return x.reshape(*x.shape, *[1] * (target_dims - x.ndim))


def global_noise(device: torch.device | str | None) -> Noise:
    """Standard normal draws from PyTorch's global generator, so that torch.manual_seed holds."""
    return lambda shape: torch.randn(*shape, device=device)


def _of_batch(sigma: Level, x: Tensor) -> Tensor:
    return torch.as_tensor(sigma, dtype=x.dtype, device=x.device).expand(len(x))


def _by_batch(denoiser: Denoise) -> Callable[[Tensor, Level], Tensor]:
    return lambda x, sigma: denoiser(x, _of_batch(sigma, x))
