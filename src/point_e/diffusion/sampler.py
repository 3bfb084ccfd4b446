"""Clouds from one diffusion model or a stack of them: the release's `PointCloudSampler` over enpointe's stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from enpointe.core.errors import InputError
from enpointe.diffusion.noise import SeededNoise
from enpointe.diffusion.samplers.ddpm import DDPM
from enpointe.diffusion.samplers.heun import Heun
from enpointe.diffusion.step import Noise
from enpointe.nn.point_transformer import PointTransformer
from enpointe.pipelines.stage import Stage, run
from point_e.models.transformer import PointDiffusionTransformer
from point_e.util.point_cloud import PointCloud

from .gaussian_diffusion import GaussianDiffusion
from .k_diffusion import global_noise

COLORS = frozenset("RGBA")

PER_STAGE = (
    "guidance_scale",
    "use_karras",
    "karras_steps",
    "sigma_min",
    "sigma_max",
    "s_churn",
    "model_kwargs_key_filter",
)
"""The options that are one for each stage; one alone holds for all, but for guidance_scale: then 1 for the others."""


class PointCloudSampler:
    """Models in a row, each adding points to those before, and how they are sampled.

    The defaults are the release's settings, and so are its numbers, also under torch.manual_seed: start
    and steps draw from PyTorch's global generator in the release's order.

    Args:
        device: where it runs.
        models: networks, one a stage: of `point_e.models.transformer`, or anything that is called as they are.
        diffusions: their processes.
        num_points: points that each stage adds.
        aux_channels: names of the channels behind x, y, z.
        model_kwargs_key_filter: which conditions each stage gets: "*" for all, or names between commas.
        guidance_scale: for each stage; 0 and 1 are plain conditional.
        clip_denoised: clip x_0 to [-1, 1].
        use_karras: for each stage, Heun's method on Karras' noise levels; otherwise DDPM through the process.
        karras_steps, sigma_min, sigma_max, s_churn: of Heun's method, for each stage.

    Raises:
        InputError: an option has neither one value nor as many as there are models.
    """

    def __init__(
        self,
        device: torch.device,
        models: Sequence[Callable[..., Any]],
        diffusions: Sequence[GaussianDiffusion],
        num_points: Sequence[int],
        aux_channels: Sequence[str],
        model_kwargs_key_filter: Sequence[str] = ("*",),
        guidance_scale: Sequence[float] = (3.0, 3.0),
        clip_denoised: bool = True,
        use_karras: Sequence[bool] = (True, True),
        karras_steps: Sequence[int] = (64, 64),
        sigma_min: Sequence[float] = (1e-3, 1e-3),
        sigma_max: Sequence[float] = (120, 160),
        s_churn: Sequence[float] = (3, 0),
    ) -> None:
        n = len(models)
        if n == 0:
            raise InputError("models: expected at least one, found none")
        self.device = device
        self.models = models
        self.diffusions = diffusions
        self.num_points = num_points
        self.aux_channels = aux_channels
        self.clip_denoised = clip_denoised
        self.guidance_scale = _for_each("guidance_scale", guidance_scale, n, others=1.0)
        self.use_karras = _for_each("use_karras", use_karras, n)
        self.karras_steps = _for_each("karras_steps", karras_steps, n)
        self.sigma_min = _for_each("sigma_min", sigma_min, n)
        self.sigma_max = _for_each("sigma_max", sigma_max, n)
        self.s_churn = _for_each("s_churn", s_churn, n)
        self.model_kwargs_key_filter = _for_each("model_kwargs_key_filter", model_kwargs_key_filter or ["*"], n)

    @property
    def num_stages(self) -> int:
        return len(self.models)

    def sample_batch(
        self, batch_size: int, model_kwargs: Mapping[str, Any], *, seeds: Sequence[int] | None = None
    ) -> Tensor:
        """The clouds at the end of `sample_batch_progressive`."""
        *_, samples = self.sample_batch_progressive(batch_size, model_kwargs, seeds=seeds)
        return samples

    def sample_batch_progressive(
        self, batch_size: int, model_kwargs: Mapping[str, Any], *, seeds: Sequence[int] | None = None
    ) -> Iterator[Tensor]:
        """All steps of all stages: each gives the clouds so far, (N, C, P) in world units.

        Args:
            batch_size: N.
            model_kwargs: conditions by name: texts, images or embeddings, one for each sample.
            seeds: an extra: one for each sample, which then does not depend on the others.
        """
        noise = global_noise(self.device) if seeds is None else SeededNoise(seeds, self.device)
        samples: Tensor | None = None
        for i, model in enumerate(self.models):
            kwargs = _filtered(model_kwargs, self.model_kwargs_key_filter[i])
            if samples is not None:
                kwargs["low_res"] = samples
            if hasattr(model, "cached_model_kwargs"):
                kwargs = model.cached_model_kwargs(batch_size, kwargs)
            network, cond = self._network(model, self.diffusions[i], kwargs)
            low_res = cond.pop("low_res", None)
            stage = self._stage(i, network, draw_unused=seeds is None)
            draws = noise
            if seeds is None and not self.use_karras[i] and self.guidance_scale[i]:
                draws = _for_both_halves(noise)
            for step in run(stage, cond, draws, n_samples=batch_size, low_res=low_res):
                samples = step.denoised
                yield samples

    def _stage(self, i: int, network: Callable[..., Tensor], *, draw_unused: bool) -> Stage:
        diffusion, karras = self.diffusions[i], self.use_karras[i]
        return Stage(
            network,
            diffusion.process,
            diffusion.scaling(3 + len(self.aux_channels)),
            n_points=self.num_points[i],
            sampler=Heun(s_churn=self.s_churn[i], draw_unused=draw_unused) if karras else DDPM(draw_unused=draw_unused),
            steps=self.karras_steps[i] if karras else len(diffusion.process),
            sigma_min=self.sigma_min[i],
            sigma_max=self.sigma_max[i],
            guidance_scale=self.guidance_scale[i],
            clip_denoised=self.clip_denoised,
            prepare=isinstance(network, PointTransformer),
        )

    def _network(
        self, model: Callable[..., Any], diffusion: GaussianDiffusion, kwargs: Mapping[str, Any]
    ) -> tuple[Callable[..., Tensor], dict[str, Any]]:
        """The network as a stage takes it, with its conditions: enpointe's own where the model is the release's."""
        if isinstance(model, PointDiffusionTransformer) and diffusion.model_mean_type == "epsilon" and model.is_plain:
            return model.network, model.core_conditions(**kwargs)
        return diffusion.noise_predictor(model), dict(kwargs)

    @classmethod
    def combine(cls, *samplers: PointCloudSampler) -> PointCloudSampler:
        """The stages of several samplers in a row.

        Raises:
            InputError: their devices, channels or clipping differ.
        """
        first = samplers[0]
        for name in ("device", "aux_channels", "clip_denoised"):
            values = [getattr(sampler, name) for sampler in samplers]
            if any(value != values[0] for value in values):
                raise InputError(f"{name} of combined samplers: expected one value, found {values}")

        def joined(name: str) -> list[Any]:
            return [value for sampler in samplers for value in getattr(sampler, name)]

        return cls(
            device=first.device,
            aux_channels=first.aux_channels,
            clip_denoised=first.clip_denoised,
            **{name: joined(name) for name in ("models", "diffusions", "num_points", *PER_STAGE)},
        )

    def with_options(
        self,
        guidance_scale: Sequence[float],
        clip_denoised: bool,
        use_karras: Sequence[bool] = (True, True),
        karras_steps: Sequence[int] = (64, 64),
        sigma_min: Sequence[float] = (1e-3, 1e-3),
        sigma_max: Sequence[float] = (120, 160),
        s_churn: Sequence[float] = (3, 0),
    ) -> PointCloudSampler:
        """The same models with other options; what is not named becomes the default, not this sampler's."""
        return PointCloudSampler(
            device=self.device,
            models=self.models,
            diffusions=self.diffusions,
            num_points=self.num_points,
            aux_channels=self.aux_channels,
            model_kwargs_key_filter=self.model_kwargs_key_filter,
            guidance_scale=guidance_scale,
            clip_denoised=clip_denoised,
            use_karras=use_karras,
            karras_steps=karras_steps,
            sigma_min=sigma_min,
            sigma_max=sigma_max,
            s_churn=s_churn,
        )

    def split_model_output(self, output: Tensor, rescale_colors: bool = False) -> tuple[Tensor, dict[str, Tensor]]:
        """Clouds (N, C, P) -> positions (N, 3, P), and each further channel (N, P) by name.

        Colours are rounded to whole numbers from 0 to 255, and divided by 255 with `rescale_colors`.
        """
        if output.shape[1] != 3 + len(self.aux_channels):
            raise InputError(f"channels: expected 3 and {len(self.aux_channels)} others, found {output.shape[1]}")
        aux = {}
        for name, values in zip(self.aux_channels, output[:, 3:].unbind(1), strict=True):
            if name in COLORS:
                values = values.clamp(0, 255).round() / (255 if rescale_colors else 1)
            aux[name] = values
        return output[:, :3], aux

    def output_to_point_clouds(self, output: Tensor) -> list[PointCloud]:
        """Clouds (N, C, P) in world units as objects; colours in [0, 1], steps of 1 / 255."""
        positions, aux = self.split_model_output(output, rescale_colors=True)
        return [
            PointCloud(xyz.t().cpu().numpy(), {name: values[i].cpu().numpy() for name, values in aux.items()})
            for i, xyz in enumerate(positions)
        ]


def _for_each(name: str, values: Sequence[Any], n: int, others: Any = None) -> list[Any]:
    if len(values) == 1 and n > 1:
        return [values[0], *[values[0] if others is None else others] * (n - 1)]
    if len(values) != n:
        raise InputError(f"{name}: expected {n} values, one for each model, found {len(values)}")
    return list(values)


def _for_both_halves(noise: Noise) -> Noise:
    """Draws for twice the samples, of which the first half is used: the release's guided DDPM draws for both halves."""
    return lambda shape: noise((2 * shape[0], *shape[1:]))[: shape[0]]


def _filtered(model_kwargs: Mapping[str, Any], key_filter: str) -> dict[str, Any]:
    if key_filter == "*":
        return dict(model_kwargs)
    return {name: value for name, value in model_kwargs.items() if name in key_filter.split(",")}
