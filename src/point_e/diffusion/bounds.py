"""The release's losses other than its default, and its bits per channel, over enpointe.diffusion.likelihood."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from enpointe.diffusion.likelihood import discretized_log_likelihood, normal_kl
from enpointe.diffusion.posterior import eps_from_x0

if TYPE_CHECKING:
    from .gaussian_diffusion import GaussianDiffusion, Kwargs, Model

Out = dict[str, Any]


def mean_flat(tensor: Tensor) -> Tensor:
    """Mean over all but the first axis: (N,)."""
    return tensor.flatten(1).mean(dim=1)


def variational_terms(
    diffusion: GaussianDiffusion, model: Model, x0: Tensor, x_t: Tensor, t: Tensor, clip: bool, model_kwargs: Kwargs
) -> Out:
    """One term of the bound in bits per channel, "output" (N,); "pred_xstart" (N, C, P).

    At t = 0 it is what 8-bit values cost if the process has `discretized_t0`, else nothing.
    """
    true_mean, _, true_log = diffusion.q_posterior_mean_variance(x0, x_t, t)
    out = diffusion.p_mean_variance(model, x_t, t, clip_denoised=clip, model_kwargs=model_kwargs)
    nats = mean_flat(normal_kl(true_mean, true_log, out["mean"], out["log_variance"]))
    first = torch.zeros_like(nats)
    if diffusion.discretized_t0:
        first = -mean_flat(discretized_log_likelihood(x0, out["mean"], out["log_variance"] / 2))
    return {"output": torch.where(t == 0, first, nats) / math.log(2), "pred_xstart": out["pred_xstart"]}


def losses(
    diffusion: GaussianDiffusion, model: Model, x0: Tensor, t: Tensor, noise: Tensor, model_kwargs: Kwargs
) -> dict[str, Tensor]:
    """Any combination of what the network predicts, its variance and the kind of loss. x0 in the network's units."""
    x_t = diffusion.q_sample(x0, t, noise=noise)
    if diffusion.loss_type.endswith("kl"):
        bound = variational_terms(diffusion, model, x0, x_t, t, False, model_kwargs)["output"]
        return {"loss": bound * diffusion.num_timesteps if diffusion.loss_type == "rescaled_kl" else bound}
    output = model(x_t, diffusion.process.timesteps.to(t.device)[t], **(model_kwargs or {}))
    output = output[0] if isinstance(output, tuple) else output
    prediction, values = output[:, : x0.shape[1]], output[:, x0.shape[1] :]
    targets = {
        "epsilon": noise,
        "x_start": x0,
        "x_prev": diffusion.q_posterior_mean_variance(x0, x_t, t)[0],
    }
    mse = mean_flat((targets[diffusion.model_mean_type] - prediction) ** 2)
    if not diffusion.model_var_type.startswith("learned"):
        return {"mse": mse, "loss": mse}
    # The bound teaches the variance only.
    known = torch.cat([prediction.detach(), values], dim=1)
    bound = variational_terms(diffusion, lambda *_: known, x0, x_t, t, False, None)["output"]
    bound = bound * diffusion.num_timesteps / 1000 if diffusion.loss_type == "rescaled_mse" else bound
    return {"vb": bound, "mse": mse, "loss": mse + bound}


def prior_bits(diffusion: GaussianDiffusion, x0: Tensor) -> Tensor:
    """What the last step's distribution costs against N(0, 1), in bits per channel: (N,)."""
    last = torch.full((len(x0),), diffusion.num_timesteps - 1, device=x0.device)
    mean, _, log = diffusion.q_mean_variance(x0, last)
    return mean_flat(normal_kl(mean, log, torch.zeros_like(mean), torch.zeros_like(log))) / math.log(2)


@torch.no_grad()
def bits(diffusion: GaussianDiffusion, model: Model, x0: Tensor, clip: bool, model_kwargs: Kwargs) -> dict[str, Tensor]:
    """The whole bound: "total_bpd", "prior_bpd" (N,), and by step, from the last: "vb", "xstart_mse", "mse" (N, T)."""
    rows: dict[str, list[Tensor]] = {"vb": [], "xstart_mse": [], "mse": []}
    for step in reversed(range(diffusion.num_timesteps)):
        t = torch.full((len(x0),), step, device=x0.device)
        noise = torch.randn_like(x0)
        x_t = diffusion.q_sample(x0, t, noise=noise)
        terms = variational_terms(diffusion, model, x0, x_t, t, clip, model_kwargs)
        predicted = terms["pred_xstart"]
        rows["vb"].append(terms["output"])
        rows["xstart_mse"].append(mean_flat((predicted - x0) ** 2))
        rows["mse"].append(mean_flat((eps_from_x0(diffusion.process, x_t, t, predicted) - noise) ** 2))
    by_step = {name: torch.stack(values, dim=1) for name, values in rows.items()}
    prior = prior_bits(diffusion, x0)
    return {"total_bpd": by_step["vb"].sum(dim=1) + prior, "prior_bpd": prior, **by_step}
