"""What a renderer gives: an image of a model with its depth and materials, and the camera that saw it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enpointe.render.camera import Camera


@dataclass(frozen=True)
class View:
    """One image of size x size pixels (see `Camera` for where they lie).

    Attributes:
        camera: in the unit frame: the object centered, longest side 1, z up.
        color: (size, size, 4) uint8: sRGB of the surface's own color, without light or shadow, and the
            share of the pixel that the object covers; not premultiplied, black where nothing is.
        depth: (size, size) float32, along the camera's axis z in the unit frame, of the surface at the
            pixel's center; inf where nothing is there.
        material: (size, size) int16, index into the model's materials there; -1 where nothing is, or unknown.
        lit: (size, size, 3) uint8 sRGB under lights, before white; None where it was not rendered.
    """

    camera: Camera
    color: NDArray[np.uint8]
    depth: NDArray[np.float32]
    material: NDArray[np.int16]
    lit: NDArray[np.uint8] | None = None

    @property
    def opaque(self) -> NDArray[np.bool_]:
        """(size, size): wholly covered, with a depth. The others mix the object with what is behind it."""
        return (self.color[..., 3] == 255) & np.isfinite(self.depth)

    @classmethod
    def of_window(
        cls, camera: Camera, window: tuple[slice, slice], color: NDArray[np.uint8], depth: NDArray[np.float32],
        material: NDArray[np.int16],
    ) -> View:  # fmt: skip
        """A view that is empty outside a window of rows and columns."""
        shape = (camera.size, camera.size)
        whole = cls(
            camera, np.zeros((*shape, 4), np.uint8), np.full(shape, np.inf, np.float32), np.full(shape, -1, np.int16)
        )
        whole.color[window], whole.depth[window], whole.material[window] = color, depth, material
        return whole
