"""OpenGL without a display, or ray casting where there is no OpenGL.

Both show each surface's own color, from both of its sides, without light. Depth, material and color belong
to one place of the surface, seen through the pixel's center; only the coverage looks at the rest of the pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

from enpointe.core.errors import DeviceError
from enpointe.io.assets.model import Model
from enpointe.render.camera import Camera
from enpointe.render.renderers import RENDERERS, Renderer
from enpointe.render.renderers.gl import GlRenderer
from enpointe.render.renderers.rays import RayRenderer
from enpointe.render.view import View

_MANY_FACES = 750
"""From here on ray casting takes less time than OpenGL without a graphics card, whose time grows with the faces."""


@RENDERERS.register("raster")
class RasterRenderer(Renderer):
    """Whichever of OpenGL and ray casting there is.

    With both, and no graphics card, rays are cast at models of many faces: the views are the same but for rounding.

    Attributes:
        name: what there is ("gl, llvmpipe (LLVM 15.0.6, 256 bits); rays, embreex 4.4.0").
    """

    def __init__(self) -> None:
        """Opens what there is.

        Raises:
            DeviceError: there is neither.
        """
        self._renderers: list[Renderer] = []
        missing = []
        for name, kind in (("gl", GlRenderer), ("rays", RayRenderer)):
            try:
                self._renderers.append(kind())
            except DeviceError as error:
                missing.append(f"{name}: {error}")
        if not self._renderers:
            raise DeviceError(
                "expected moderngl and EGL with OpenGL 3.3 (Debian: libegl1 and libgl1-mesa-dri), or embreex; "
                f"pip install 'enpointe[data]' brings moderngl and embreex; found {'; '.join(missing)}"
            )
        self.name = "; ".join(renderer.name for renderer in self._renderers)

    def render(self, model: Model, cameras: Sequence[Camera]) -> list[View]:
        """See `Renderer.render`."""
        first, last = self._renderers[0], self._renderers[-1]
        slow = isinstance(first, GlRenderer) and first.without_card and len(model.triangles) >= _MANY_FACES
        return (last if slow else first).render(model, cameras)

    def close(self) -> None:
        """See `Renderer.close`."""
        for renderer in self._renderers:
            renderer.close()
