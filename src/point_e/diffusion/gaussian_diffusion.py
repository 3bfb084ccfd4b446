"""Discrete diffusion processes with the release's class and method names, over enpointe.diffusion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from tqdm.auto import tqdm

from enpointe.core.errors import InputError
from enpointe.diffusion import likelihood
from enpointe.diffusion.channels import ChannelScaling
from enpointe.diffusion.ddim import ddim_inverse_step, ddim_step
from enpointe.diffusion.loss import eps_loss
from enpointe.diffusion.posterior import at, eps_from_x0, log_variance, posterior_mean, x0_from_eps, x0_from_previous
from enpointe.diffusion.schedule import BETAS, TabulatedProcess, kept_steps

from . import bounds
from .bounds import mean_flat as mean_flat

Model = Callable[..., Any]
"""(x (N, C, P), t (N,), **model_kwargs) -> (N, C or 2 C, P)."""
Table = NDArray[np.float64]
Value = float | Tensor
Out = dict[str, Any]
Kwargs = Mapping[str, Any] | None
Loop = Iterator[Out]

MEAN_TYPES = ("epsilon", "x_start", "x_prev")
VAR_TYPES = ("learned", "learned_range", "fixed_small", "fixed_large")
LOSS_TYPES = ("mse", "rescaled_mse", "kl", "rescaled_kl")


def get_named_beta_schedule(schedule_name: str, num_diffusion_timesteps: int) -> Table:
    """The betas (T,) of "linear" or "cosine"."""
    if schedule_name not in BETAS:
        raise InputError(f"beta schedule: expected one of {sorted(BETAS)}, found {schedule_name!r}")
    return BETAS[schedule_name](num_diffusion_timesteps).numpy()


def get_beta_schedule(beta_schedule: str, *, beta_start: float, beta_end: float, num_diffusion_timesteps: int) -> Table:
    """Betas (T,) that rise evenly from one value to another: only "linear"."""
    _check("beta_schedule", beta_schedule, ("linear",))
    return np.linspace(beta_start, beta_end, num_diffusion_timesteps)


def betas_for_alpha_bar(
    num_diffusion_timesteps: int, alpha_bar: Callable[[float], float], max_beta: float = 0.999
) -> Table:
    """Betas (T,) of a product of alphas that is given as a function of the time from 0 to 1."""
    times = np.arange(num_diffusion_timesteps + 1) / num_diffusion_timesteps
    bars = np.array([alpha_bar(float(time)) for time in times])
    return np.minimum(1 - bars[1:] / bars[:-1], max_beta)


def space_timesteps(num_timesteps: int, section_counts: str | Sequence[int]) -> set[int]:
    """Which steps a respacing keeps; see `enpointe.diffusion.schedule.kept_steps`."""
    spacing = section_counts if isinstance(section_counts, str) else ",".join(map(str, section_counts))
    return set(kept_steps(num_timesteps, spacing))


class GaussianDiffusion:
    """A process of given betas, and sampling and training with a network of it.

    Args:
        betas: (T,).
        model_mean_type: what the network predicts: "epsilon", "x_start" or "x_prev".
        model_var_type: "learned_range", "learned" (the network has twice the channels), "fixed_small"
            or "fixed_large".
        loss_type: "mse", "rescaled_mse", "kl" or "rescaled_kl".
        discretized_t0: whether the bound's first term is the likelihood of 8-bit values (pictures), else nothing.
        channel_scales, channel_biases: from world units to the network's, (C,) each.

    Raises:
        InputError: another type than these.
    """

    def __init__(
        self,
        *,
        betas: ArrayLike,
        model_mean_type: str,
        model_var_type: str,
        loss_type: str,
        discretized_t0: bool = False,
        channel_scales: ArrayLike | None = None,
        channel_biases: ArrayLike | None = None,
    ) -> None:
        _check("model_mean_type", model_mean_type, MEAN_TYPES)
        _check("model_var_type", model_var_type, VAR_TYPES)
        _check("loss_type", loss_type, LOSS_TYPES)
        self.model_mean_type = model_mean_type
        self.model_var_type = model_var_type
        self.loss_type = loss_type
        self.discretized_t0 = discretized_t0
        self.channel_scales = None if channel_scales is None else np.asarray(channel_scales)
        self.channel_biases = None if channel_biases is None else np.asarray(channel_biases)
        self.process = self._process(np.asarray(betas, dtype=np.float64))
        self.num_timesteps = len(self.process)
        self._set_tables()

    def _process(self, betas: Table) -> TabulatedProcess:
        return TabulatedProcess(torch.from_numpy(betas))

    def _set_tables(self) -> None:
        """The release's tables, (T,) in float64."""
        process = self.process
        self.betas: Table = process.betas.numpy()
        self.alphas_cumprod: Table = process.alphas_cumprod.numpy()
        self.alphas_cumprod_prev: Table = process.alphas_cumprod_prev.numpy()
        self.alphas_cumprod_next: Table = np.append(self.alphas_cumprod[1:], 0.0)
        self.sqrt_alphas_cumprod: Table = np.sqrt(self.alphas_cumprod)
        self.sqrt_one_minus_alphas_cumprod: Table = np.sqrt(1 - self.alphas_cumprod)
        self.log_one_minus_alphas_cumprod: Table = np.log(1 - self.alphas_cumprod)
        self.sqrt_recip_alphas_cumprod: Table = np.sqrt(1 / self.alphas_cumprod)
        self.sqrt_recipm1_alphas_cumprod: Table = process.sigmas.numpy()
        self.posterior_variance: Table = process.posterior_variance.numpy()
        self.posterior_log_variance_clipped: Table = process.posterior_log_variance_clipped.numpy()
        self.posterior_mean_coef1, self.posterior_mean_coef2 = (weight.numpy() for weight in process.posterior_weights)

    def scaling(self, channels: int) -> ChannelScaling:
        """World units <-> the network's, as enpointe has it."""
        scales = [1.0] * channels if self.channel_scales is None else self.channel_scales.tolist()
        biases = [0.0] * channels if self.channel_biases is None else self.channel_biases.tolist()
        return ChannelScaling(tuple(scales), tuple(biases))

    def scale_channels(self, x: Tensor) -> Tensor:
        """World units (N, C, P) -> the network's."""
        return self.scaling(x.shape[1]).to_model(x)

    def unscale_channels(self, x: Tensor) -> Tensor:
        """The network's units (N, C, P) -> the world's."""
        return self.scaling(x.shape[1]).to_world(x)

    def unscale_out_dict(self, out: Out) -> Out:
        """The same with every tensor of points in world units."""
        return {name: self.unscale_channels(v) if isinstance(v, Tensor) else v for name, v in out.items()}

    def get_sigmas(self, t: Tensor) -> Tensor:
        """Noise to signal at steps t (N,): (N,) float32."""
        return self.process.sigmas[t.cpu()].float().to(t.device)

    def q_mean_variance(self, x_start: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean, variance and its logarithm of q(x_t | x_0), each of x_start's shape."""
        alpha_bar = self.process.alphas_cumprod
        mean = at(alpha_bar.sqrt(), t, x_start) * x_start
        variance, log = at(1 - alpha_bar, t, x_start), at((1 - alpha_bar).log(), t, x_start)
        return mean, variance.expand_as(x_start), log.expand_as(x_start)

    def q_sample(self, x_start: Tensor, t: Tensor, noise: Tensor | None = None) -> Tensor:
        """x_t (N, C, P) from x_0 and standard normal noise."""
        alpha_bar = self.process.alphas_cumprod
        drawn = torch.randn_like(x_start) if noise is None else noise
        return at(alpha_bar.sqrt(), t, x_start) * x_start + at((1 - alpha_bar).sqrt(), t, x_start) * drawn

    def q_posterior_mean_variance(self, x_start: Tensor, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean, variance and its clipped logarithm of q(x_{t-1} | x_t, x_0), each of x_t's shape."""
        variance = at(self.process.posterior_variance, t, x_t).expand_as(x_t)
        log = at(self.process.posterior_log_variance_clipped, t, x_t).expand_as(x_t)
        return posterior_mean(self.process, x_start, x_t, t), variance, log

    def noise_predictor(self, model: Model) -> Callable[..., Tensor]:
        """`model` as enpointe's samplers want a network: it is told the trained process's steps, and predicts noise.

        Its variance channels, if any, stay as they are.
        """

        def predict(x: Tensor, t: Tensor, **model_kwargs: Any) -> Tensor:
            told = t.long()
            output = model(x, told, **model_kwargs)
            output = output[0] if isinstance(output, tuple) else output
            if self.model_mean_type == "epsilon":
                return output
            index = torch.searchsorted(self.process.timesteps.to(told.device), told)
            eps = eps_from_x0(self.process, x, index, self._x_start(output[:, : x.shape[1]], x, index))
            return torch.cat([eps, output[:, x.shape[1] :]], dim=1)

        return predict

    def _x_start(self, prediction: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """What the network's prediction says of x_0."""
        if self.model_mean_type == "epsilon":
            return x0_from_eps(self.process, x, t, prediction)
        if self.model_mean_type == "x_prev":
            return x0_from_previous(self.process, x, t, prediction)
        return prediction

    def p_mean_variance(
        self,
        model: Model,
        x: Tensor,
        t: Tensor,
        clip_denoised: bool = False,
        denoised_fn: Callable[[Tensor], Tensor] | None = None,
        model_kwargs: Kwargs = None,
    ) -> Out:
        """p(x_{t-1} | x_t) and the predicted x_0: mean, variance, log_variance, pred_xstart, extra.

        Args:
            t: (N,) integers, of the kept steps.
            clip_denoised: clip x_0 to [-1, 1], after denoised_fn.
        """
        output = model(x, self.process.timesteps.to(t.device)[t], **(model_kwargs or {}))
        output, extra = output if isinstance(output, tuple) else (output, None)
        prediction, values = output, None
        if self.model_var_type.startswith("learned"):
            prediction, values = output.split(x.shape[1], dim=1)
        x_start = self._x_start(prediction, x, t)
        if denoised_fn is not None:
            x_start = denoised_fn(x_start)
        if clip_denoised:
            x_start = x_start.clamp(-1, 1)
        mean = prediction if self.model_mean_type == "x_prev" else posterior_mean(self.process, x_start, x, t)
        log = self._log_variance(values, t, x)
        return {"mean": mean, "variance": log.exp(), "log_variance": log, "pred_xstart": x_start, "extra": extra}

    def _log_variance(self, values: Tensor | None, t: Tensor, x: Tensor) -> Tensor:
        if self.model_var_type == "learned" and values is not None:
            return values
        if self.model_var_type == "fixed_large":  # beta, but for the first step, whose posterior is used
            values = torch.where(t > 0, 1.0, -1.0).to(x).reshape(-1, *[1] * (x.ndim - 1)).expand_as(x)
        return log_variance(self.process, values, t, x)

    def condition_mean(
        self, cond_fn: Model, p_mean_var: Out, x: Tensor, t: Tensor, model_kwargs: Kwargs = None
    ) -> Tensor:
        """The mean moved by a classifier's gradient (Sohl-Dickstein et al. 2015)."""
        gradient = cond_fn(x, self.process.timesteps.to(t.device)[t], **(model_kwargs or {}))
        return p_mean_var["mean"].float() + p_mean_var["variance"] * gradient.float()

    def condition_score(
        self, cond_fn: Model, p_mean_var: Out, x: Tensor, t: Tensor, model_kwargs: Kwargs = None
    ) -> Out:
        """The prediction under a score moved by a classifier's gradient (Song et al. 2021, appendix I)."""
        gradient = cond_fn(x, self.process.timesteps.to(t.device)[t], **(model_kwargs or {}))
        eps = eps_from_x0(self.process, x, t, p_mean_var["pred_xstart"])
        eps = eps - at((1 - self.process.alphas_cumprod).sqrt(), t, x) * gradient
        x_start = x0_from_eps(self.process, x, t, eps)
        return {**p_mean_var, "pred_xstart": x_start, "mean": posterior_mean(self.process, x_start, x, t)}

    def p_sample(
        self,
        model: Model,
        x: Tensor,
        t: Tensor,
        clip_denoised: bool = False,
        denoised_fn: Callable[[Tensor], Tensor] | None = None,
        cond_fn: Model | None = None,
        model_kwargs: Kwargs = None,
    ) -> Out:
        """One step of DDPM: "sample" x_{t-1} and "pred_xstart"."""
        out = self.p_mean_variance(model, x, t, clip_denoised, denoised_fn, model_kwargs)
        noise = torch.randn_like(x)
        if cond_fn is not None:
            out["mean"] = self.condition_mean(cond_fn, out, x, t, model_kwargs)
        some = (t != 0).to(x).reshape(-1, *[1] * (x.ndim - 1))
        sample = out["mean"] + some * (out["log_variance"] / 2).exp() * noise
        return {"sample": sample, "pred_xstart": out["pred_xstart"]}

    def p_sample_loop(self, model: Model, shape: Sequence[int], *args: Any, **kwargs: Any) -> Tensor:
        """The last sample of `p_sample_loop_progressive`, in world units."""
        return _last(self.p_sample_loop_progressive(model, shape, *args, **kwargs))

    def p_sample_loop_progressive(
        self,
        model: Model,
        shape: Sequence[int],
        noise: Tensor | None = None,
        clip_denoised: bool = False,
        denoised_fn: Callable[[Tensor], Tensor] | None = None,
        cond_fn: Model | None = None,
        model_kwargs: Kwargs = None,
        device: torch.device | str | None = None,
        progress: bool = False,
        temp: float = 1.0,
    ) -> Loop:
        """DDPM through the whole process; every step's `p_sample` in world units."""
        options: Out = {"clip_denoised": clip_denoised, "denoised_fn": denoised_fn, "cond_fn": cond_fn}
        options["model_kwargs"] = model_kwargs
        return self._loop(self.p_sample, model, shape, noise, device, progress, temp, options)

    def ddim_sample(
        self,
        model: Model,
        x: Tensor,
        t: Tensor,
        clip_denoised: bool = False,
        denoised_fn: Callable[[Tensor], Tensor] | None = None,
        cond_fn: Model | None = None,
        model_kwargs: Kwargs = None,
        eta: float = 0.0,
    ) -> Out:
        """One step of DDIM: "sample" x_{t-1} and "pred_xstart"."""
        out = self.p_mean_variance(model, x, t, clip_denoised, denoised_fn, model_kwargs)
        if cond_fn is not None:
            out = self.condition_score(cond_fn, out, x, t, model_kwargs)
        sample = ddim_step(self.process, x, out["pred_xstart"], t, torch.randn_like(x), eta=eta)
        return {"sample": sample, "pred_xstart": out["pred_xstart"]}

    def ddim_reverse_sample(
        self,
        model: Model,
        x: Tensor,
        t: Tensor,
        clip_denoised: bool = False,
        denoised_fn: Callable[[Tensor], Tensor] | None = None,
        cond_fn: Model | None = None,
        model_kwargs: Kwargs = None,
        eta: float = 0.0,
    ) -> Out:
        """One deterministic step of DDIM the other way: "sample" x_{t+1} and "pred_xstart"; eta must be 0."""
        _check("eta", eta, (0.0,))
        out = self.p_mean_variance(model, x, t, clip_denoised, denoised_fn, model_kwargs)
        if cond_fn is not None:
            out = self.condition_score(cond_fn, out, x, t, model_kwargs)
        x_start = out["pred_xstart"]
        return {"sample": ddim_inverse_step(self.process, x, x_start, t), "pred_xstart": x_start}

    def ddim_sample_loop(self, model: Model, shape: Sequence[int], *args: Any, **kwargs: Any) -> Tensor:
        """The last sample of `ddim_sample_loop_progressive`, in world units."""
        return _last(self.ddim_sample_loop_progressive(model, shape, *args, **kwargs))

    def ddim_sample_loop_progressive(
        self,
        model: Model,
        shape: Sequence[int],
        noise: Tensor | None = None,
        clip_denoised: bool = False,
        denoised_fn: Callable[[Tensor], Tensor] | None = None,
        cond_fn: Model | None = None,
        model_kwargs: Kwargs = None,
        device: torch.device | str | None = None,
        progress: bool = False,
        eta: float = 0.0,
        temp: float = 1.0,
    ) -> Loop:
        """DDIM through the whole process; every step's `ddim_sample` in world units."""
        options: Out = {"clip_denoised": clip_denoised, "denoised_fn": denoised_fn, "cond_fn": cond_fn}
        options |= {"model_kwargs": model_kwargs, "eta": eta}
        return self._loop(self.ddim_sample, model, shape, noise, device, progress, temp, options)

    @torch.no_grad()
    def _loop(
        self,
        step: Callable[..., Out],
        model: Model,
        shape: Sequence[int],
        noise: Tensor | None,
        device: torch.device | str | None,
        progress: bool,
        temp: float,
        options: Out,
    ) -> Loop:
        if device is None:
            if not isinstance(model, nn.Module):
                raise InputError("device: expected one where the model is no module, found none")
            device = next(model.parameters()).device
        x = torch.randn(*shape, device=device) * temp if noise is None else noise
        indices: Iterable[int] = reversed(range(self.num_timesteps))
        for i in tqdm(indices, total=self.num_timesteps) if progress else indices:
            out = step(model, x, torch.full((len(x),), i, device=x.device), **options)
            yield self.unscale_out_dict(out)
            x = out["sample"]

    def training_losses(
        self,
        model: Model,
        x_start: Tensor,
        t: Tensor,
        model_kwargs: Kwargs = None,
        noise: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """ "loss" and, where they are of its kind, "mse" and with a learned variance "vb": each (N,).

        Args:
            x_start: (N, C, P) in world units. t: (N,) integers, of the kept steps.
        """
        x0 = self.scale_channels(x_start)
        drawn = torch.randn_like(x0) if noise is None else noise
        ours = self.loss_type.endswith("mse") and self.model_mean_type == "epsilon" and not self.discretized_t0
        if not ours or self.model_var_type == "learned":
            return bounds.losses(self, model, x0, t, drawn, model_kwargs)
        losses = eps_loss(self.noise_predictor(model), self.process, x0, t, drawn, **(model_kwargs or {}))
        if self.model_var_type != "learned_range":
            return {"mse": losses.mse, "loss": losses.mse}
        scale = self.num_timesteps / 1000 if self.loss_type == "rescaled_mse" else 1.0
        return {"mse": losses.mse, "vb": scale * losses.vb, "loss": losses.mse + scale * losses.vb}

    def calc_bpd_loop(
        self, model: Model, x_start: Tensor, clip_denoised: bool = False, model_kwargs: Kwargs = None
    ) -> dict[str, Tensor]:
        """The variational bound in bits per channel, see `bounds.bits`; x_start (N, C, P) in the network's units."""
        return bounds.bits(self, model, x_start, clip_denoised, model_kwargs)


class SpacedDiffusion(GaussianDiffusion):
    """A process that keeps some steps of another; the network is told the other's steps.

    Args:
        use_timesteps: the kept steps, in any order.
        kwargs: of `GaussianDiffusion`, the betas being the other process's.
    """

    def __init__(self, use_timesteps: Iterable[int], **kwargs: Any) -> None:
        self.use_timesteps = set(use_timesteps)
        super().__init__(**kwargs)
        self.timestep_map = self.process.timesteps.tolist()
        self.original_num_steps = self.process.steps

    def _process(self, betas: Table) -> TabulatedProcess:
        return TabulatedProcess(torch.from_numpy(betas), self.use_timesteps)


def normal_kl(mean1: Value, logvar1: Value, mean2: Value, logvar2: Value) -> Tensor:
    """KL divergence in nats of normal distributions; at least one argument is a tensor, shapes broadcast."""
    given = (mean1, logvar1, mean2, logvar2)
    tensor = next((value for value in given if isinstance(value, Tensor)), None)
    if tensor is None:
        raise InputError("arguments of normal_kl: expected at least one tensor, found none")
    return likelihood.normal_kl(*(torch.as_tensor(value).to(tensor) for value in given))


def approx_standard_normal_cdf(x: Tensor) -> Tensor:
    """The cumulative distribution of N(0, 1), about."""
    return likelihood.standard_normal_cdf(x)


def discretized_gaussian_log_likelihood(x: Tensor, *, means: Tensor, log_scales: Tensor) -> Tensor:
    """Log probabilities in nats of 8-bit values in [-1, 1], of x's shape."""
    return likelihood.discretized_log_likelihood(x, means, log_scales)


def _last(steps: Loop) -> Tensor:
    *_, out = steps
    sample: Tensor = out["sample"]
    return sample


def _check(name: str, value: object, known: Sequence[object]) -> None:
    if value not in known:
        raise InputError(f"{name}: expected one of {', '.join(map(str, known))}, found {value!r}")
