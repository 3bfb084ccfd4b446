"""A stage of the release's sampler as enpointe's, where nothing in between has been changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from enpointe.diffusion.channels import ChannelScaling
from enpointe.diffusion.sampler import Sampler
from enpointe.diffusion.schedule import DiscreteProcess
from enpointe.diffusion.step import Noise
from enpointe.pipelines.families.point_e.stages import CloudStage, eps_stage
from point_e._originals import is_as_its_class_says
from point_e.models.fast import as_enpointe

from . import gaussian_diffusion, k_diffusion
from .gaussian_diffusion import GaussianDiffusion, SpacedDiffusion, Table


class TabulatedProcess(DiscreteProcess):
    """A process of any betas (steps,), of which the steps `kept` are kept, rising."""

    def __init__(self, betas: Table, kept: Sequence[int]) -> None:
        # Where the parent's cached tables would lie.
        vars(self).update(schedule="table", steps=len(betas), respacing="table")
        vars(self).update(trained_betas=torch.from_numpy(betas), timesteps=torch.tensor(kept))

    __eq__ = object.__eq__  # two tables under one name are not the same process
    __hash__ = object.__hash__


def process_of(diffusion: object) -> TabulatedProcess | None:
    """enpointe's process of the release's; None where its methods, functions or tables are not the release's."""
    if type(diffusion) not in (GaussianDiffusion, SpacedDiffusion) or not isinstance(diffusion, GaussianDiffusion):
        return None
    modules = (gaussian_diffusion, k_diffusion)
    if not (all(module.ORIGINALS.are_in_place() for module in modules) and is_as_its_class_says(diffusion)):
        return None
    if diffusion.model_mean_type != "epsilon" or diffusion.model_var_type != "learned_range":
        return None
    if isinstance(diffusion, SpacedDiffusion):
        process = TabulatedProcess(diffusion.original_betas, diffusion.timestep_map)
    else:
        process = TabulatedProcess(diffusion.betas, range(len(diffusion.betas)))
    same = len(process) == diffusion.num_timesteps == len(diffusion.betas)
    if not same or not np.allclose(process.betas.numpy(), diffusion.betas, rtol=1e-9, atol=0):
        return None
    changed = any(
        not np.array_equal(getattr(diffusion, name), table)
        for name, table in gaussian_diffusion.tables(diffusion.betas).items()
    )
    return None if changed else process


def steps(
    model: Callable[..., Any],
    diffusion: GaussianDiffusion,
    process: TabulatedProcess,
    conditions: Mapping[str, Any],
    noise: Noise,
    *,
    n_samples: int,
    channels: int,
    n_points: int,
    sampler: Sampler,
    steps: int,
    **options: Any,
) -> Iterator[Tensor]:
    """Estimates of the clouds (N, channels, points) in world units, coarse points first, one a step.

    Args:
        model: one of the release's networks, or anything that is called as they are.
        process: `process_of(diffusion)`.
        conditions: the model's keyword arguments, of one batch.
        sampler, steps, options: of `eps_stage`.
    """
    found = as_enpointe(model, dict(conditions), n_points)
    network, cond = found or (_called(model), dict(conditions))
    low_res = cond.pop("low_res", None)
    scales, biases = diffusion.channel_scales, diffusion.channel_biases
    scaling = ChannelScaling(
        (1.0,) * channels if scales is None else tuple(scales.tolist()),
        (0.0,) * channels if biases is None else tuple(biases.tolist()),
    )
    stage = eps_stage(
        network,
        process,
        shape=(channels, n_points),
        sampler=sampler,
        steps=steps,
        prepare=found is not None,
        **options,
    )
    for step in CloudStage(stage, scaling).run(cond, noise, n_samples=n_samples, low_res=low_res):
        # The release's DDPM does not show its last estimate again.
        if step.i < steps or sampler.frame == "karras":
            yield step.denoised


def _called(model: Callable[..., Any]) -> Callable[..., Tensor]:
    """A model that is called as the release's are, with whole steps, as a stage calls its network."""

    def network(x: Tensor, t: Tensor, **cond: Any) -> Tensor:
        output = model(x, t.long(), **cond)
        return output[0] if isinstance(output, tuple) else output

    return network
