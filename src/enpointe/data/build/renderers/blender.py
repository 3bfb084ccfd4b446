"""Blender's Cycles, which also makes views under lights."""

from __future__ import annotations

from functools import partial

from enpointe.data.build.convert import OpenRenderer
from enpointe.data.build.renderers import RENDERERS
from enpointe.render.blender.renderer import BlenderRenderer


@RENDERERS.register("blender")
def blender(lit_samples: int, threads: int) -> OpenRenderer:
    """See `BlenderRenderer`."""
    return partial(BlenderRenderer, lit_samples=lit_samples, threads=threads)
