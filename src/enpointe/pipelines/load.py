"""A model by its name."""

from __future__ import annotations

from pathlib import Path

from enpointe.core.device import find_device, keep_freed_memory
from enpointe.core.errors import InputError
from enpointe.pipelines.families.pocket.pipeline import Pipeline
from enpointe.pipelines.families.point_e.pipeline import ReleasedPipeline
from enpointe.pipelines.families.point_e.presets import PRESET_NAMES
from enpointe.pipelines.inputs import check_model


def load(
    name: str = "pocket", *, device: str = "auto", preset: str = "fast", weights: str | Path | None = None
) -> Pipeline | ReleasedPipeline:
    """A model by name. Nothing is read or downloaded before it is needed.

    Args:
        name: "pocket", the family that comes with the package; or a released base model:
            "base40M-textvec" (draws from a text), "base40M-imagevec", "base40M", "base300M", "base1B"
            (from a picture), "base40M-uncond" (from nothing).
        device: "auto", "cpu", "cuda" or "mps".
        preset: "fast", or for the released models "reference", the release's own settings.
        weights: a file of the base network's weights instead of those that the name stands for.

    Raises:
        InputError: no such model, device or preset. DeviceError: the device is not there.
    """
    check_model(name)
    if preset not in PRESET_NAMES:
        raise InputError(f"preset: expected one of {', '.join(PRESET_NAMES)}, found {preset!r}")
    path = None if weights is None else Path(weights)
    keep_freed_memory()
    if name == "pocket":
        if preset != "fast":
            raise InputError(f"preset of pocket: expected fast, found {preset!r}; the released models have others")
        return Pipeline(name, find_device(device), weights=path)
    return ReleasedPipeline(name, find_device(device), preset, weights=path)
