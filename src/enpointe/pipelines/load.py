"""A model by its name."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import torch

from enpointe.checkpoints.registry import ModelSpec, generator, generators
from enpointe.core.device import find_device, keep_freed_memory
from enpointe.core.errors import InputError
from enpointe.core.precision import find_dtype
from enpointe.diffusion.samplers import SAMPLERS
from enpointe.pipelines.base import Pipeline


def load(
    name: str = "pocket",
    *,
    device: str = "auto",
    preset: str | None = None,
    dtype: str | torch.dtype | None = None,
    weights: str | Path | None = None,
) -> Pipeline:
    """A model by name. Nothing is read or downloaded before it is needed.

    Args:
        name: one of `enpointe.models()`: "pocket", the family that comes with the package, or a released base model
            such as "base40M-textvec" (draws from a text) or "base300M" (from an image).
        device: "auto", "cpu", "cuda" or "mps".
        preset: one of the model's presets; None for the usual one.
        dtype: "float32", "bfloat16" or "auto", the faster one on this device; None: what the preset says.
        weights: a file of the base network's weights instead of those that the name stands for.

    Raises:
        InputError: no such model, device, preset or type. DeviceError: the device is not there.
    """
    spec = generator(name)
    chosen = spec.presets[0] if preset is None else preset
    if chosen not in spec.presets:
        raise InputError(f"preset of {name}: expected one of {', '.join(spec.presets)}, found {chosen!r}")
    keep_freed_memory()
    where = find_device(device)
    assert spec.pipeline is not None  # generators have one
    module, _, cls = spec.pipeline.partition(":")
    pipeline: Pipeline = getattr(import_module(module), cls)(
        spec,
        where,
        chosen,
        dtype=None if dtype is None else find_dtype(dtype, where),
        weights=None if weights is None else Path(weights),
    )
    return pipeline


def models() -> dict[str, ModelSpec]:
    """The models that generate clouds, by name: what each draws from, what it knows, its presets and stages."""
    return generators()


def samplers() -> tuple[str, ...]:
    """The names of the samplers."""
    return tuple(SAMPLERS)
