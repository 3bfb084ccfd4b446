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
from point_e._originals import Originals
from point_e.util.point_cloud import PointCloud

from . import fast
from .gaussian_diffusion import GaussianDiffusion
from .k_diffusion import karras_sample_progressive

COLORS = frozenset("RGBA")
XYZ = 3

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
        options = {} if seeds is None else {"seeds": seeds}  # a subclass's has no such argument
        *_, samples = self.sample_batch_progressive(batch_size, model_kwargs, **options)
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
        samples: Tensor | None = None
        noise = None if seeds is None else SeededNoise(seeds, self.device)
        for i, model in enumerate(self.models):
            kwargs = _filtered(model_kwargs, self.model_kwargs_key_filter[i])
            if samples is not None:
                kwargs["low_res"] = samples
            if hasattr(model, "cached_model_kwargs"):
                kwargs = model.cached_model_kwargs(batch_size, kwargs)
            for samples in self._stage(i, model, batch_size, kwargs, noise):
                yield samples

    def _stage(
        self, i: int, model: Callable[..., Any], batch_size: int, kwargs: dict[str, Any], noise: SeededNoise | None
    ) -> Iterator[Tensor]:
        """One stage's steps, with the model's keyword arguments: enpointe's, which come to the same numbers sooner,
        unless a part of the release that they pass over has been overridden or replaced."""
        process = fast.process_of(self.diffusions[i])
        if process is None or not self._guides_as_defined():
            if noise is not None:
                raise InputError("seeds: expected the release's own diffusion and sampling, found them changed")
            return self._release_stage(i, model, batch_size, kwargs)
        karras, scale, unused = self.use_karras[i], self.guidance_scale[i], noise is None
        draws: Noise = noise or global_noise(self.device)
        return fast.steps(
            model,
            self.diffusions[i],
            process,
            kwargs,
            _for_both_halves(draws) if unused and scale and not karras else draws,
            n_samples=batch_size,
            channels=3 + len(self.aux_channels),
            n_points=self.num_points[i],
            sampler=Heun(s_churn=self.s_churn[i], draw_unused=unused) if karras else DDPM(draw_unused=unused),
            steps=self.karras_steps[i] if karras else len(process),
            sigma_min=self.sigma_min[i],
            sigma_max=self.sigma_max[i],
            guidance_scale=scale,
            clip_denoised=self.clip_denoised,
        )

    def _guides_as_defined(self) -> bool:
        own = PointCloudSampler._uncond_guide_model
        return self._uncond_guide_model == own.__get__(self) and ORIGINALS.are_in_place()

    def _release_stage(
        self, i: int, model: Callable[..., Any], batch_size: int, kwargs: dict[str, Any]
    ) -> Iterator[Tensor]:
        """One stage by the release's functions and methods, whatever they are now."""
        scale, karras = self.guidance_scale[i], self.use_karras[i]
        shape = (batch_size, 3 + len(self.aux_channels), self.num_points[i])
        if scale not in ((0, 1) if karras else (0,)):
            kwargs = {name: torch.cat([value, torch.zeros_like(value)]) for name, value in kwargs.items()}
        if karras:
            steps = karras_sample_progressive(
                diffusion=self.diffusions[i],
                model=model,
                shape=shape,
                steps=self.karras_steps[i],
                clip_denoised=self.clip_denoised,
                model_kwargs=kwargs,
                device=self.device,
                sigma_min=self.sigma_min[i],
                sigma_max=self.sigma_max[i],
                s_churn=self.s_churn[i],
                guidance_scale=scale,
            )
        else:
            if scale:
                model, shape = self._uncond_guide_model(model, scale), (2 * batch_size, *shape[1:])
            steps = self.diffusions[i].p_sample_loop_progressive(
                model, shape=shape, model_kwargs=kwargs, device=self.device, clip_denoised=self.clip_denoised
            )
        for step in steps:
            samples = step["pred_xstart"][:batch_size]
            if "low_res" in kwargs:
                samples = torch.cat([kwargs["low_res"][:batch_size], samples], dim=2)
            yield samples

    def _uncond_guide_model(self, model: Callable[..., Any], scale: float) -> Callable[..., Tensor]:
        """A model of twice the batch, conditions and unconditional ones, that guides x, y and z of the first half."""

        def guided(x_t: Tensor, ts: Tensor, **kwargs: Any) -> Tensor:
            x = x_t[: len(x_t) // 2]
            output = model(torch.cat([x, x]), ts, **kwargs)
            cond, uncond = output[:, :XYZ].chunk(2)
            eps = uncond + scale * (cond - uncond)
            return torch.cat([torch.cat([eps, eps]), output[:, XYZ:]], dim=1)

        return guided

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

        Colors are rounded to whole numbers from 0 to 255, and divided by 255 with `rescale_colors`.
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
        """Clouds (N, C, P) in world units as objects; colors in [0, 1], steps of 1 / 255."""
        clouds = []
        for sample in output:
            xyz, aux = self.split_model_output(sample[None], rescale_colors=True)
            channels = {name: values[0].cpu().numpy() for name, values in aux.items()}
            clouds.append(PointCloud(coords=xyz[0].t().cpu().numpy(), channels=channels))
        return clouds


def global_noise(device: torch.device | str | None) -> Noise:
    """Standard normal draws from PyTorch's global generator, so that torch.manual_seed holds."""
    return lambda shape: torch.randn(*shape, device=device)


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


ORIGINALS = Originals(globals())
