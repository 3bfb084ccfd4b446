"""The renderers that a build can use, by name; each opens in the workers' processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from enpointe.core.errors import InputError

if TYPE_CHECKING:
    from enpointe.data.build.convert import OpenRenderer


def _raster(lit: int, threads: int) -> OpenRenderer:
    from enpointe.render.raster import RasterRenderer

    if lit:
        raise InputError("renderer raster: expected no samples for lit views, which renderer blender makes")
    return RasterRenderer


def _blender(lit: int, threads: int) -> OpenRenderer:
    from enpointe.render.blender.renderer import BlenderRenderer

    return partial(BlenderRenderer, lit_samples=lit, threads=threads)


RENDERERS: Mapping[str, Callable[[int, int], OpenRenderer]] = {"raster": _raster, "blender": _blender}
"""Name -> what gives a function that opens the renderer: lit samples (0 for no lit views), threads -> the function."""
