"""Discrete diffusion processes: the release's classes, tables and methods, each going through the others as there.

What a subclass overrides, or a script puts in place of a method or function of this module, is what is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from tqdm.auto import tqdm

from enpointe.core.errors import InputError
from enpointe.diffusion.likelihood import normal_kl as kl
from enpointe.diffusion.schedule import BETAS, kept_steps
from point_e._originals import Originals

Model = Callable[..., Any]
"""(x (N, C, P), t (N,), **model_kwargs) -> (N, C or 2 C, P); or a tuple of that and a dictionary, see `Extra`."""
Extra = Mapping[str, Any] | None
"""What a model may return beside its output: under "losses", name -> (loss (N,), its scale in the training loss)."""
Table = NDArray[np.float64]
Value = float | Tensor
Out = dict[str, Any]
Kwargs = Mapping[str, Any] | None
Loop = Iterator[Out]
Function = Callable[[Tensor], Tensor]

MEAN_TYPES = ("epsilon", "x_start", "x_prev")
VAR_TYPES = ("learned", "learned_range", "fixed_small", "fixed_large")
LOSS_TYPES = ("mse", "rescaled_mse", "kl", "rescaled_kl")


def get_beta_schedule(beta_schedule: str, *, beta_start: float, beta_end: float, num_diffusion_timesteps: int) -> Table:
    """Betas (T,) that rise evenly from one value to another: only "linear"."""
    _check("beta_schedule", beta_schedule, ("linear",))
    return np.linspace(beta_start, beta_end, num_diffusion_timesteps)


def get_named_beta_schedule(schedule_name: str, num_diffusion_timesteps: int) -> Table:
    """The betas (T,) of "linear" or "cosine"."""
    if schedule_name not in BETAS:
        raise InputError(f"beta schedule: expected one of {sorted(BETAS)}, found {schedule_name!r}")
    return BETAS[schedule_name](num_diffusion_timesteps).numpy()


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

    Its tables, (T,) in float64 each, are what every method reads: betas, alphas_cumprod, alphas_cumprod_prev, ...

    Args:
        betas: (T,), each above 0 and at most 1.
        model_mean_type: what the network predicts: "epsilon", "x_start" or "x_prev".
        model_var_type: "learned_range", "learned" (the network has twice the channels), "fixed_small"
            or "fixed_large".
        loss_type: "mse", "rescaled_mse", "kl" or "rescaled_kl".
        discretized_t0: whether the bound's first term is the likelihood of 8-bit values (images), else nothing.
        channel_scales, channel_biases: from world units to the network's, (C,) each.

    Raises:
        InputError: other betas, or another type than these; a subclass may have types of its own.
    """

    alphas_cumprod: Table
    alphas_cumprod_prev: Table
    alphas_cumprod_next: Table
    sqrt_alphas_cumprod: Table
    sqrt_one_minus_alphas_cumprod: Table
    log_one_minus_alphas_cumprod: Table
    sqrt_recip_alphas_cumprod: Table
    sqrt_recipm1_alphas_cumprod: Table
    posterior_variance: Table
    posterior_log_variance_clipped: Table
    posterior_mean_coef1: Table
    posterior_mean_coef2: Table

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
        if type(self).__module__ == __name__:
            _check("model_mean_type", model_mean_type, MEAN_TYPES)
            _check("model_var_type", model_var_type, VAR_TYPES)
            _check("loss_type", loss_type, LOSS_TYPES)
        self.model_mean_type = model_mean_type
        self.model_var_type = model_var_type
        self.loss_type = loss_type
        self.discretized_t0 = discretized_t0
        self.channel_scales = None if channel_scales is None else np.asarray(channel_scales)
        self.channel_biases = None if channel_biases is None else np.asarray(channel_biases)
        self.betas: Table = np.array(betas, dtype=np.float64)
        if self.betas.ndim != 1 or not ((self.betas > 0) & (self.betas <= 1)).all():
            raise InputError(f"betas: expected numbers in (0, 1], found shape {self.betas.shape}")
        self.num_timesteps = len(self.betas)
        vars(self).update(tables(self.betas))

    def get_sigmas(self, t: Tensor) -> Tensor:
        """Noise to signal at steps t (N,): (N,) float32."""
        return _extract_into_tensor(self.sqrt_recipm1_alphas_cumprod, t, t.shape)

    # Diffusing

    def q_mean_variance(self, x_start: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean, variance and its logarithm of q(x_t | x_0), each of x_start's shape."""
        mean = _extract_into_tensor(self.sqrt_alphas_cumprod, t, x_start.shape) * x_start
        variance = _extract_into_tensor(1 - self.alphas_cumprod, t, x_start.shape)
        return mean, variance, _extract_into_tensor(self.log_one_minus_alphas_cumprod, t, x_start.shape)

    def q_sample(self, x_start: Tensor, t: Tensor, noise: Tensor | None = None) -> Tensor:
        """x_t (N, C, P) from x_0 and standard normal noise."""
        if noise is None:
            noise = torch.randn_like(x_start)
        _check_shapes(x_start=x_start, noise=noise)
        signal = _extract_into_tensor(self.sqrt_alphas_cumprod, t, x_start.shape)
        return signal * x_start + _extract_into_tensor(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape) * noise

    def q_posterior_mean_variance(self, x_start: Tensor, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean, variance and its clipped logarithm of q(x_{t-1} | x_t, x_0), each of x_t's shape."""
        _check_shapes(x_start=x_start, x_t=x_t)
        of_start = _extract_into_tensor(self.posterior_mean_coef1, t, x_t.shape)
        mean = of_start * x_start + _extract_into_tensor(self.posterior_mean_coef2, t, x_t.shape) * x_t
        variance = _extract_into_tensor(self.posterior_variance, t, x_t.shape)
        return mean, variance, _extract_into_tensor(self.posterior_log_variance_clipped, t, x_t.shape)

    # What a network's output says

    def p_mean_variance(
        self,
        model: Model,
        x: Tensor,
        t: Tensor,
        clip_denoised: bool = False,
        denoised_fn: Function | None = None,
        model_kwargs: Kwargs = None,
    ) -> Out:
        """p(x_{t-1} | x_t) and the predicted x_0: mean, variance, log_variance, pred_xstart, extra.

        Args:
            t: (N,) integers, of the kept steps.
            clip_denoised: clip x_0 to [-1, 1], after denoised_fn.
        """
        output, extra = _evaluated(model, x, t, model_kwargs)
        output, variance, log_variance = self._split_variance(output, x, t)
        _check("model_mean_type", self.model_mean_type, MEAN_TYPES)
        if self.model_mean_type == "epsilon":
            x_start = self._predict_xstart_from_eps(x_t=x, t=t, eps=output)
        elif self.model_mean_type == "x_prev":
            x_start = self._predict_xstart_from_xprev(x_t=x, t=t, xprev=output)
        else:
            x_start = output
        if denoised_fn is not None:
            x_start = denoised_fn(x_start)
        if clip_denoised:
            x_start = x_start.clamp(-1, 1)
        mean = output
        if self.model_mean_type != "x_prev":
            mean, _, _ = self.q_posterior_mean_variance(x_start=x_start, x_t=x, t=t)
        return {
            "mean": mean, "variance": variance, "log_variance": log_variance, "pred_xstart": x_start, "extra": extra,
        }  # fmt: skip

    def _split_variance(self, output: Tensor, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A network's output -> its prediction, and the variance with its logarithm, each of x's shape."""
        _check("model_var_type", self.model_var_type, VAR_TYPES)
        if self.model_var_type.startswith("learned"):
            output, values = _halves(output, x)
            if self.model_var_type == "learned_range":
                low = _extract_into_tensor(self.posterior_log_variance_clipped, t, x.shape)
                values = torch.lerp(
                    low, _extract_into_tensor(np.log(self.betas), t, x.shape), ((values + 1) / 2).to(low)
                )
            return output, values.exp(), values
        _check_shapes(x=x, output=output)
        variance, log = self.posterior_variance, self.posterior_log_variance_clipped
        if self.model_var_type == "fixed_large":  # beta, but for the first step, whose posterior is used
            variance = np.append(np.exp(log[:1]), self.betas[1:])
            log = np.log(variance)
        return output, _extract_into_tensor(variance, t, x.shape), _extract_into_tensor(log, t, x.shape)

    def _predict_xstart_from_eps(self, x_t: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        _check_shapes(x_t=x_t, eps=eps)
        scaled = _extract_into_tensor(self.sqrt_recip_alphas_cumprod, t, x_t.shape) * x_t
        return scaled - _extract_into_tensor(self.sqrt_recipm1_alphas_cumprod, t, x_t.shape) * eps

    def _predict_xstart_from_xprev(self, x_t: Tensor, t: Tensor, xprev: Tensor) -> Tensor:
        """The x_0 whose posterior mean is xprev."""
        _check_shapes(x_t=x_t, xprev=xprev)
        of_start, of_t = self.posterior_mean_coef1, self.posterior_mean_coef2
        scaled = _extract_into_tensor(1 / of_start, t, x_t.shape) * xprev
        return scaled - _extract_into_tensor(of_t / of_start, t, x_t.shape) * x_t

    def _predict_eps_from_xstart(self, x_t: Tensor, t: Tensor, pred_xstart: Tensor) -> Tensor:
        scaled = _extract_into_tensor(self.sqrt_recip_alphas_cumprod, t, x_t.shape) * x_t
        return (scaled - pred_xstart) / _extract_into_tensor(self.sqrt_recipm1_alphas_cumprod, t, x_t.shape)

    def condition_mean(
        self, cond_fn: Model, p_mean_var: Out, x: Tensor, t: Tensor, model_kwargs: Kwargs = None
    ) -> Tensor:
        """The mean moved by a classifier's gradient (Sohl-Dickstein et al. 2015)."""
        gradient = cond_fn(x, t, **(model_kwargs or {}))
        return p_mean_var["mean"].float() + p_mean_var["variance"] * gradient.float()

    def condition_score(
        self, cond_fn: Model, p_mean_var: Out, x: Tensor, t: Tensor, model_kwargs: Kwargs = None
    ) -> Out:
        """The prediction under a score moved by a classifier's gradient (Song et al. 2021, appendix I)."""
        gradient = cond_fn(x, t, **(model_kwargs or {}))
        eps = self._predict_eps_from_xstart(x, t, p_mean_var["pred_xstart"])
        eps = eps - (1 - _extract_into_tensor(self.alphas_cumprod, t, x.shape)).sqrt() * gradient
        x_start = self._predict_xstart_from_eps(x, t, eps)
        mean, _, _ = self.q_posterior_mean_variance(x_start=x_start, x_t=x, t=t)
        return {**p_mean_var, "pred_xstart": x_start, "mean": mean}

    # Sampling

    def p_sample(
        self,
        model: Model,
        x: Tensor,
        t: Tensor,
        clip_denoised: bool = False,
        denoised_fn: Function | None = None,
        cond_fn: Model | None = None,
        model_kwargs: Kwargs = None,
    ) -> Out:
        """One step of DDPM: "sample" x_{t-1} and "pred_xstart"."""
        out = self.p_mean_variance(
            model, x, t, clip_denoised=clip_denoised, denoised_fn=denoised_fn, model_kwargs=model_kwargs
        )
        noise = torch.randn_like(x)
        if cond_fn is not None:
            out["mean"] = self.condition_mean(cond_fn, out, x, t, model_kwargs=model_kwargs)
        sample = out["mean"] + _unless_last(t, x) * (out["log_variance"] / 2).exp() * noise
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
        denoised_fn: Function | None = None,
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
        denoised_fn: Function | None = None,
        cond_fn: Model | None = None,
        model_kwargs: Kwargs = None,
        eta: float = 0.0,
    ) -> Out:
        """One step of DDIM (Song et al. 2021, equations 12 and 16): "sample" x_{t-1} and "pred_xstart"."""
        out = self.p_mean_variance(
            model, x, t, clip_denoised=clip_denoised, denoised_fn=denoised_fn, model_kwargs=model_kwargs
        )
        if cond_fn is not None:
            out = self.condition_score(cond_fn, out, x, t, model_kwargs=model_kwargs)
        x_start = out["pred_xstart"]
        eps = self._predict_eps_from_xstart(x, t, x_start)
        now = _extract_into_tensor(self.alphas_cumprod, t, x.shape)
        before = _extract_into_tensor(self.alphas_cumprod_prev, t, x.shape)
        sigma = eta * ((1 - before) / (1 - now) * (1 - now / before)).sqrt()
        noise = torch.randn_like(x)
        # Above zero but for rounding, where eta is 1.
        mean = before.sqrt() * x_start + (1 - before - sigma**2).clamp(min=0).sqrt() * eps
        return {"sample": mean + _unless_last(t, x) * sigma * noise, "pred_xstart": x_start}

    def ddim_reverse_sample(
        self,
        model: Model,
        x: Tensor,
        t: Tensor,
        clip_denoised: bool = False,
        denoised_fn: Function | None = None,
        cond_fn: Model | None = None,
        model_kwargs: Kwargs = None,
        eta: float = 0.0,
    ) -> Out:
        """One deterministic step of DDIM the other way: "sample" x_{t+1} and "pred_xstart"; eta must be 0."""
        _check("eta", eta, (0.0,))
        out = self.p_mean_variance(
            model, x, t, clip_denoised=clip_denoised, denoised_fn=denoised_fn, model_kwargs=model_kwargs
        )
        if cond_fn is not None:
            out = self.condition_score(cond_fn, out, x, t, model_kwargs=model_kwargs)
        x_start = out["pred_xstart"]
        eps = self._predict_eps_from_xstart(x, t, x_start)
        after = _extract_into_tensor(self.alphas_cumprod_next, t, x.shape)
        return {"sample": after.sqrt() * x_start + (1 - after).sqrt() * eps, "pred_xstart": x_start}

    def ddim_sample_loop(self, model: Model, shape: Sequence[int], *args: Any, **kwargs: Any) -> Tensor:
        """The last sample of `ddim_sample_loop_progressive`, in world units."""
        return _last(self.ddim_sample_loop_progressive(model, shape, *args, **kwargs))

    def ddim_sample_loop_progressive(
        self,
        model: Model,
        shape: Sequence[int],
        noise: Tensor | None = None,
        clip_denoised: bool = False,
        denoised_fn: Function | None = None,
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
            out = step(model, x, torch.full((shape[0],), i, device=device), **options)
            yield self.unscale_out_dict(out)
            x = out["sample"]

    # Training

    def training_losses(
        self,
        model: Model,
        x_start: Tensor,
        t: Tensor,
        model_kwargs: Kwargs = None,
        noise: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """ "loss" and, where they are of its kind, "mse" and with a learned variance "vb": each (N,).

        Further losses that the model returns, see `Extra`, are there under their names, and in "loss" by their scale.

        Args:
            x_start: (N, C, P) in world units. t: (N,) integers, of the kept steps.
        """
        _check("loss_type", self.loss_type, LOSS_TYPES)
        x_start = self.scale_channels(x_start)
        if noise is None:
            noise = torch.randn_like(x_start)
        x_t = self.q_sample(x_start, t, noise=noise)
        terms: dict[str, Tensor] = {}
        if self.loss_type.endswith("kl"):
            bound = self._vb_terms_bpd(
                model=model, x_start=x_start, x_t=x_t, t=t, clip_denoised=False, model_kwargs=model_kwargs
            )
            extra = bound["extra"]
            terms["loss"] = bound["output"] * (self.num_timesteps if self.loss_type == "rescaled_kl" else 1)
        else:
            output, extra = _evaluated(model, x_t, t, model_kwargs)
            if self.model_var_type.startswith("learned"):
                output, values = _halves(output, x_t)
                # The bound teaches the variance only.
                known = torch.cat([output.detach(), values], dim=1)
                terms["vb"] = self._vb_terms_bpd(
                    model=lambda *_: known, x_start=x_start, x_t=x_t, t=t, clip_denoised=False
                )["output"]
                if self.loss_type == "rescaled_mse":
                    terms["vb"] = terms["vb"] * (self.num_timesteps / 1000)
            terms["mse"] = mean_flat((self._target(x_start, x_t, t, noise) - output) ** 2)
            terms["loss"] = terms["mse"] + terms["vb"] if "vb" in terms else terms["mse"]
        for name, (loss, scale) in ((extra or {}).get("losses") or {}).items():
            terms[name] = loss
            terms["loss"] = terms["loss"] + loss * scale
        return terms

    def _target(self, x_start: Tensor, x_t: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """What the network should predict."""
        _check("model_mean_type", self.model_mean_type, MEAN_TYPES)
        if self.model_mean_type == "x_prev":
            return self.q_posterior_mean_variance(x_start=x_start, x_t=x_t, t=t)[0]
        return noise if self.model_mean_type == "epsilon" else x_start

    def _vb_terms_bpd(
        self,
        model: Model,
        x_start: Tensor,
        x_t: Tensor,
        t: Tensor,
        clip_denoised: bool = False,
        model_kwargs: Kwargs = None,
    ) -> Out:
        """One term of the variational bound in bits per channel, "output" (N,); "pred_xstart" (N, C, P) and "extra".

        At t = 0 it is what 8-bit values cost if the process has `discretized_t0`, else nothing.
        """
        true_mean, _, true_log = self.q_posterior_mean_variance(x_start=x_start, x_t=x_t, t=t)
        out = self.p_mean_variance(model, x_t, t, clip_denoised=clip_denoised, model_kwargs=model_kwargs)
        nats = mean_flat(normal_kl(true_mean, true_log, out["mean"], out["log_variance"]))
        first = torch.zeros_like(nats)
        if self.discretized_t0:
            first = -mean_flat(
                discretized_gaussian_log_likelihood(x_start, means=out["mean"], log_scales=out["log_variance"] / 2)
            )
        bits = torch.where(t == 0, first, nats) / math.log(2)
        return {"output": bits, "pred_xstart": out["pred_xstart"], "extra": out["extra"]}

    def _prior_bpd(self, x_start: Tensor) -> Tensor:
        """What the last step's distribution costs against N(0, 1), in bits per channel: (N,)."""
        last = torch.full((len(x_start),), self.num_timesteps - 1, device=x_start.device)
        mean, _, log = self.q_mean_variance(x_start, last)
        return mean_flat(normal_kl(mean1=mean, logvar1=log, mean2=0.0, logvar2=0.0)) / math.log(2)

    def calc_bpd_loop(
        self, model: Model, x_start: Tensor, clip_denoised: bool = False, model_kwargs: Kwargs = None
    ) -> dict[str, Tensor]:
        """The variational bound in bits per channel; x_start (N, C, P) in the network's units.

        Returns:
            "total_bpd", "prior_bpd" (N,), and by step, from the last: "vb", "xstart_mse", "mse" (of the noise) (N, T).
        """
        rows: dict[str, list[Tensor]] = {"vb": [], "xstart_mse": [], "mse": []}
        for step in reversed(range(self.num_timesteps)):
            t = torch.full((len(x_start),), step, device=x_start.device)
            noise = torch.randn_like(x_start)
            x_t = self.q_sample(x_start=x_start, t=t, noise=noise)
            with torch.no_grad():
                out = self._vb_terms_bpd(
                    model, x_start=x_start, x_t=x_t, t=t, clip_denoised=clip_denoised, model_kwargs=model_kwargs
                )
            rows["vb"].append(out["output"])
            rows["xstart_mse"].append(mean_flat((out["pred_xstart"] - x_start) ** 2))
            eps = self._predict_eps_from_xstart(x_t, t, out["pred_xstart"])
            rows["mse"].append(mean_flat((eps - noise) ** 2))
        by_step = {name: torch.stack(values, dim=1) for name, values in rows.items()}
        prior = self._prior_bpd(x_start)
        return {"total_bpd": by_step["vb"].sum(dim=1) + prior, "prior_bpd": prior, **by_step}

    # Units

    def scale_channels(self, x: Tensor) -> Tensor:
        """World units (N, C, ...) -> the network's."""
        if self.channel_scales is not None:
            x = x * _by_channel(self.channel_scales, x)
        return x if self.channel_biases is None else x + _by_channel(self.channel_biases, x)

    def unscale_channels(self, x: Tensor) -> Tensor:
        """The network's units (N, C, ...) -> the world's."""
        if self.channel_biases is not None:
            x = x - _by_channel(self.channel_biases, x)
        return x if self.channel_scales is None else x / _by_channel(self.channel_scales, x)

    def unscale_out_dict(self, out: Out) -> Out:
        """The same with every tensor of points in world units; what has no channels, such as a noise level, stays."""
        return {
            name: self.unscale_channels(value) if isinstance(value, Tensor) and value.ndim > 1 else value
            for name, value in out.items()
        }


class SpacedDiffusion(GaussianDiffusion):
    """A process that keeps some steps of another; the network is given the other's steps.

    Args:
        use_timesteps: the kept steps, in any order.
        kwargs: of `GaussianDiffusion`, the betas being the other process's.
    """

    def __init__(self, use_timesteps: Iterable[int], **kwargs: Any) -> None:
        self.use_timesteps = set(use_timesteps)
        self.original_betas: Table = np.array(kwargs["betas"], dtype=np.float64)
        self.original_num_steps = len(self.original_betas)
        self.timestep_map = [step for step in range(self.original_num_steps) if step in self.use_timesteps]
        if not self.timestep_map:
            raise InputError(f"kept steps: expected some of 0 to {self.original_num_steps - 1}, found none")
        kept = np.cumprod(1 - self.original_betas)[self.timestep_map]
        super().__init__(**{**kwargs, "betas": 1 - kept / np.append(1.0, kept[:-1])})

    def p_mean_variance(self, model: Model, *args: Any, **kwargs: Any) -> Out:
        return super().p_mean_variance(self._wrap_model(model), *args, **kwargs)

    def training_losses(self, model: Model, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        return super().training_losses(self._wrap_model(model), *args, **kwargs)

    def condition_mean(self, cond_fn: Model, *args: Any, **kwargs: Any) -> Tensor:
        return super().condition_mean(self._wrap_model(cond_fn), *args, **kwargs)

    def condition_score(self, cond_fn: Model, *args: Any, **kwargs: Any) -> Out:
        return super().condition_score(self._wrap_model(cond_fn), *args, **kwargs)

    def _wrap_model(self, model: Model) -> Model:
        if isinstance(model, _WrappedModel):
            return model
        return _WrappedModel(model, self.timestep_map, self.original_num_steps)


class _WrappedModel:
    """A model that is called with indices of the kept steps, and gets the steps themselves."""

    def __init__(self, model: Model, timestep_map: Sequence[int], original_num_steps: int) -> None:
        self.model = model
        self.timestep_map = timestep_map
        self.original_num_steps = original_num_steps

    def __call__(self, x: Tensor, ts: Tensor, **kwargs: Any) -> Any:
        steps = torch.tensor(self.timestep_map, device=ts.device, dtype=ts.dtype)
        return self.model(x, steps[ts], **kwargs)


def tables(betas: Table) -> dict[str, Table]:
    """All that a process reads of its betas (T,), by the names of its attributes."""
    bar = np.cumprod(1 - betas)
    before = np.append(1.0, bar[:-1])
    variance = betas * (1 - before) / (1 - bar)
    # The first is log 0, in whose place the second is taken.
    clipped = np.append(variance[min(1, len(betas) - 1)], variance[1:])
    return {
        "alphas_cumprod": bar,
        "alphas_cumprod_prev": before,
        "alphas_cumprod_next": np.append(bar[1:], 0.0),
        "sqrt_alphas_cumprod": np.sqrt(bar),
        "sqrt_one_minus_alphas_cumprod": np.sqrt(1 - bar),
        "log_one_minus_alphas_cumprod": np.log(1 - bar),
        "sqrt_recip_alphas_cumprod": np.sqrt(1 / bar),
        "sqrt_recipm1_alphas_cumprod": np.sqrt(1 / bar - 1),
        "posterior_variance": variance,
        "posterior_log_variance_clipped": np.log(clipped),
        "posterior_mean_coef1": betas * np.sqrt(before) / (1 - bar),
        "posterior_mean_coef2": (1 - before) * np.sqrt(1 - betas) / (1 - bar),
    }


def _extract_into_tensor(arr: Table, timesteps: Tensor, broadcast_shape: Sequence[int]) -> Tensor:
    """Entries of a table (T,) at steps (N,), each repeated over its sample: float32 of broadcast_shape (N, ...)."""
    # Rounded before it is moved: not every device has float64.
    values = torch.from_numpy(np.asarray(arr)).float().to(timesteps.device)[timesteps]
    values = values.reshape(-1, *[1] * (len(broadcast_shape) - 1))
    return values + torch.zeros(*broadcast_shape, device=timesteps.device)


def normal_kl(mean1: Value, logvar1: Value, mean2: Value, logvar2: Value) -> Tensor:
    """KL divergence in nats of normal distributions; at least one argument is a tensor, shapes broadcast."""
    given = (mean1, logvar1, mean2, logvar2)
    tensor = next((value for value in given if isinstance(value, Tensor)), None)
    if tensor is None:
        raise InputError("arguments of normal_kl: expected at least one tensor, found none")
    return kl(*(torch.as_tensor(value).to(tensor) for value in given))


def approx_standard_normal_cdf(x: Tensor) -> Tensor:
    """The cumulative distribution of N(0, 1) within 2e-4 (Page 1977, doi 10.2307/2346872)."""
    return (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2


def discretized_gaussian_log_likelihood(x: Tensor, *, means: Tensor, log_scales: Tensor) -> Tensor:
    """Log probabilities in nats of 8-bit values in [-1, 1] under normal distributions (Ho et al. 2020, equation 13).

    Args:
        x: any shape; each value stands for an interval of 2 / 255, the outermost for all beyond.
        means, log_scales: of x's shape.
    """
    away, scale = x - means, (-log_scales).exp()
    below, above = (approx_standard_normal_cdf(scale * (away + side / 255)) for side in (-1, 1))
    inside = torch.where(x < -0.999, above, torch.where(x > 0.999, 1 - below, above - below))
    return inside.clamp(min=1e-12).log()


def mean_flat(tensor: Tensor) -> Tensor:
    """Mean over all but the first axis: (N,)."""
    return tensor.flatten(1).mean(dim=1)


def _evaluated(model: Model, x: Tensor, t: Tensor, model_kwargs: Kwargs) -> tuple[Tensor, Extra]:
    output = model(x, t, **(model_kwargs or {}))
    return output if isinstance(output, tuple) else (output, None)


def _halves(output: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """A prediction and the variance's values, (N, C, ...) each, of an output (N, 2 C, ...)."""
    channels = x.shape[1]
    if output.shape != (len(x), 2 * channels, *x.shape[2:]):
        expected = (len(x), 2 * channels, *x.shape[2:])
        raise InputError(f"network output: expected shape {expected}, found {tuple(output.shape)}")
    return output[:, :channels], output[:, channels:]


def _by_channel(values: NDArray[Any], x: Tensor) -> Tensor:
    """Values (C,) to go with x (N, C, ...)."""
    return torch.from_numpy(values).to(x.dtype).to(x.device).reshape(-1, *[1] * (x.ndim - 2))


def _unless_last(t: Tensor, x: Tensor) -> Tensor:
    """1 where there is a step to come, else 0, to go with x (N, ...)."""
    return (t != 0).to(x).reshape(-1, *[1] * (x.ndim - 1))


def _last(steps: Loop) -> Tensor:
    *_, out = steps
    sample: Tensor = out["sample"]
    return sample


def _check_shapes(**tensors: Tensor) -> None:
    (name, one), (other_name, other) = tensors.items()
    if one.shape != other.shape:
        raise InputError(f"{other_name}: expected the shape of {name}, {tuple(one.shape)}, found {tuple(other.shape)}")


def _check(name: str, value: object, known: Sequence[object]) -> None:
    if value not in known:
        raise InputError(f"{name}: expected one of {', '.join(map(str, known))}, found {value!r}")


ORIGINALS = Originals(globals())
