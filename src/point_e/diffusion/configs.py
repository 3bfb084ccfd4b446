"""The released models' diffusion processes, as the dictionaries that the release's scripts pass around."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from enpointe.checkpoints.released import RELEASED

from .gaussian_diffusion import GaussianDiffusion, SpacedDiffusion, get_named_beta_schedule, space_timesteps


def _config(name: str) -> dict[str, Any]:
    model = RELEASED[name]
    return {
        "channel_biases": list(model.scaling.biases),
        "channel_scales": list(model.scaling.scales),
        "mean_type": "epsilon",
        "schedule": model.process.schedule,
        "timesteps": model.process.steps,
    }


DIFFUSION_CONFIGS: dict[str, dict[str, Any]] = {name: _config(name) for name in RELEASED}

BASE_DIFFUSION_CONFIG: dict[str, Any] = _config("base40M")


def diffusion_from_config(config: Mapping[str, Any]) -> GaussianDiffusion:
    """A process from schedule, timesteps, and optionally mean_type, respacing, channel_scales, channel_biases."""
    steps, respacing = config["timesteps"], config.get("respacing")
    scaling = {
        name: None if config.get(name) is None else np.array(config[name])
        for name in ("channel_scales", "channel_biases")
    }
    options: dict[str, Any] = {
        "betas": get_named_beta_schedule(config["schedule"], steps),
        "model_mean_type": config.get("mean_type", "epsilon"),
        "model_var_type": "learned_range",
        "loss_type": "mse",
        **scaling,
    }
    if respacing is None:
        return GaussianDiffusion(**options)
    return SpacedDiffusion(use_timesteps=space_timesteps(steps, respacing), **options)
