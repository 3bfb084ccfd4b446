"""Pictures of models without Blender: OpenGL without a display, or ray casting where there is no OpenGL.

Both show each surface's own colour, from both of its sides, without light. Depth, material and colour belong
to one place of the surface, seen through the pixel's centre; only the coverage looks at the rest of the pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Literal, Protocol, Self

from enpointe.core.errors import DeviceError
from enpointe.io.assets.model import Model
from enpointe.render.camera import Camera
from enpointe.render.renderer import View

Backend = Literal["auto", "gl", "rays"]
_MANY_FACES = 750
"""From here on ray casting takes less time than OpenGL without a graphics card, whose time grows with the faces."""


class _Rasterizer(Protocol):
    name: str
    likes_few_faces: bool

    def render(self, model: Model, cameras: Sequence[Camera]) -> list[View]: ...

    def close(self) -> None: ...


class RasterRenderer:
    """Renders models as long as it is open; `with RasterRenderer() as renderer: ...`.

    It belongs to the thread and the process that made it.

    Attributes:
        name: what renders, for the record ("gl, llvmpipe (LLVM 15.0.6, 256 bits); rays, embreex 4.4.0").
    """

    def __init__(self, backend: Backend = "auto") -> None:
        """`backend` "gl" wants OpenGL 3.3 through EGL, software will do; "rays" wants embreex.

        "auto" is content with either. With both, and no graphics card, rays are cast at models of many
        faces: the pictures are the same but for rounding.

        Raises:
            DeviceError: what is wanted is not there.
        """
        self._rasterizers = _open(backend)
        self.name = "; ".join(rasterizer.name for rasterizer in self._rasterizers)

    def render(self, model: Model, cameras: Sequence[Camera]) -> list[View]:
        """One view a camera, of a model in the unit frame (`Model.normalized`).

        Raises:
            InputError: the model has no triangles, or a texture too large for the renderer.
        """
        first, last = self._rasterizers[0], self._rasterizers[-1]
        chosen = last if first.likes_few_faces and len(model.triangles) >= _MANY_FACES else first
        return chosen.render(model, cameras)

    def close(self) -> None:
        """Give back what it holds; rendering is over."""
        for rasterizer in self._rasterizers:
            rasterizer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open(backend: Backend) -> list[_Rasterizer]:
    """What there is of what is wanted, OpenGL first."""
    ways: dict[str, Callable[[], _Rasterizer]] = {"gl": _open_gl, "rays": _open_rays}
    if backend != "auto" and backend not in ways:
        raise DeviceError(f"backend: expected auto, gl or rays, found {backend!r}")
    found, missing = [], []
    for name in ways if backend == "auto" else (backend,):
        try:
            found.append(ways[name]())
        except (ImportError, DeviceError) as error:
            missing.append(f"{name}: {error}")
    if not found:
        raise DeviceError(
            "expected moderngl and EGL with OpenGL 3.3 (Debian: libegl1 and libgl1-mesa-dri), or embreex; "
            f"pip install 'enpointe[data]' brings moderngl and embreex; found {'; '.join(missing)}"
        )
    return found


def _open_gl() -> _Rasterizer:
    from enpointe.render.gl import GlRasterizer

    return GlRasterizer()


def _open_rays() -> _Rasterizer:
    from enpointe.render.rays import RayRasterizer

    return RayRasterizer()
