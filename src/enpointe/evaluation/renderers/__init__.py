"""The renderers of R-Precision's images, one file each. Naming them needs no NumPy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeAlias

from enpointe.core.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from enpointe.geometry.mesh import Mesh
    from enpointe.geometry.point_cloud import PointCloud
    from enpointe.render.software.perspective import RenderConfig

Images: TypeAlias = "NDArray[np.uint8]"
"""(views, size, size, 3)."""


class ShapeRenderer(ABC):
    """Renders images of shapes, z up, as a `RenderConfig` says.

    Attributes:
        name: what renders, and its version where that may matter.
        note: how the images look, for a report.
    """

    name: str
    note: str

    def __init__(self, config: RenderConfig) -> None:
        self.config = config

    @abstractmethod
    def render_cloud(self, cloud: PointCloud) -> Images:
        """Images of a cloud; RenderError if it failed at this one."""

    @abstractmethod
    def render_mesh(self, mesh: Mesh) -> Images:
        """Images of a mesh; RenderError if it failed at this one."""

    def close(self) -> None:  # noqa: B027 - most start nothing
        """Ends what was started for it."""

    def about(self) -> dict[str, Any]:
        """What a report states about it."""
        return {"name": self.name, "note": self.note, "renders": asdict(self.config)}


RENDERERS: Registry[type[ShapeRenderer]] = Registry("renderer", __name__, by_module=True)


def open_renderer(name: str, views: int | None = None) -> ShapeRenderer:
    """One of RENDERERS, with `views` of each shape, None for the usual number.

    Raises:
        InputError: a renderer that there is not, or a number of views.
        DeviceError: there is no Blender that can be used.
    """
    from enpointe.render.software.perspective import RenderConfig

    return RENDERERS[name](RenderConfig() if views is None else RenderConfig(views=views))
