"""The renderer of this package: OpenGL in software, or ray casting, whichever suits the model."""

from __future__ import annotations

from enpointe.core.errors import InputError
from enpointe.data.build.convert import OpenRenderer
from enpointe.data.build.renderers import RENDERERS
from enpointe.render.raster import RasterRenderer


@RENDERERS.register("raster")
def raster(lit_samples: int, threads: int) -> OpenRenderer:
    """See `RasterRenderer`; it uses one thread.

    Raises:
        InputError: lit views are requested, which it does not make.
    """
    if lit_samples:
        raise InputError("renderer raster: expected no samples for lit views, which renderer blender makes")
    return RasterRenderer
