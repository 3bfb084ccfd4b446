"""What renders, one file each: views of models, and images of clouds and meshes. Naming them needs no NumPy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self

from enpointe.core.registry import Registry

if TYPE_CHECKING:
    from enpointe.geometry.mesh import Mesh
    from enpointe.geometry.point_cloud import PointCloud
    from enpointe.io.assets.model import Model
    from enpointe.render.camera import Camera
    from enpointe.render.software.perspective import Images, RenderConfig
    from enpointe.render.view import View


class Renderer(ABC):
    """Renders as long as it is open: `with RENDERERS["raster"]() as renderer: ...`.

    It belongs to the thread and the process that opened it.

    Attributes:
        name: what renders, and its version where that may matter, for the record.
        note: how its images look, for a report.
        lights: whether it can also render views under lights.
    """

    name: str
    note: ClassVar[str] = "surfaces in their own color, without light; a point is a ball"
    lights: ClassVar[bool] = False

    @classmethod
    def for_views(cls, *, lit_samples: int = 0, threads: int | None = None) -> Self:
        """Opens one to render many models' views.

        Args:
            lit_samples: of each pixel of views under lights, for a renderer that has them; 0 for no such views.
            threads: that it may use, None for all; most use one.

        Raises:
            DeviceError: what it needs is not there.
        """
        return cls()

    @classmethod
    def for_images(cls, views: int) -> Self:
        """Opens one to render `views` images of each shape; raises as `for_views`."""
        return cls()

    @abstractmethod
    def render(self, model: Model, cameras: Sequence[Camera]) -> list[View]:
        """One view a camera, of a model in the unit frame (`Model.normalized`).

        Raises:
            InputError: the model cannot be rendered: it has no triangles, or a texture that is too large.
            RenderError: the renderer failed at this one.
            DeviceError: the renderer is gone for good.
        """

    def images(self, shape: PointCloud | Mesh, config: RenderConfig) -> Images:
        """Images (views, size, size, 3) of a shape, z up, in whatever frame: on a ground, lit where it has lights.

        Raises:
            RenderError, DeviceError: as `render`.
        """
        from enpointe.render.shape_images import shape_images

        return shape_images(self, shape, config)

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Gives back what it holds; rendering is over."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


RENDERERS: Registry[type[Renderer]] = Registry("renderer", __name__, by_module=True)
