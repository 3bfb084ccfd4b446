"""Views by Blender's Cycles on the CPU, in a process of its own.

The first images have one sample, which Cycles takes through the pixel's center: depth, material and color
of one place of the surface, as `raster` gives them. Those of several samples give the coverage, and further
ones the surface under lights.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from enpointe.core.errors import InputError, RenderError
from enpointe.geometry.colors import to_linear, to_srgb
from enpointe.io.assets.model import SOLID, Material, Model
from enpointe.render.blender.exr import read_exr
from enpointe.render.blender.import_files import read_with_blender
from enpointe.render.blender.process import BlenderLimits, BlenderProcess
from enpointe.render.camera import Camera
from enpointe.render.renderers import RENDERERS, Renderer
from enpointe.render.view import View

SAMPLES = 16
"""Of each pixel of images."""
SECONDS_OF_A_VIEW = 30.0
"""What Blender may take for an image before it is given up, over all of a shape's views."""
_MOST_MATERIALS = 32766
_FROM_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
"""Blender's cameras look along -z, and their y points up."""
_MATERIAL_CHANNELS = ("IndexMA.X", "Material Index.X")
_BYTES = np.rint(to_srgb(np.linspace(0, 1, 65536, dtype=np.float32)) * 255).astype(np.uint8)
"""sRGB of linear light in 65,536 steps."""


@RENDERERS.register("blender")
class BlenderRenderer(Renderer):
    """Renders models as long as it is open; `with BlenderRenderer() as renderer: ...`.

    One Blender renders them all. Whatever ends it costs the model that it was at, and no other.

    Attributes:
        name: what renders, for the record ("blender 4.5.1 LTS, cycles, 4 samples").
        rendering: seconds that Blender has spent in rendering so far.
    """

    note = "by Blender under a sky and a sun; a point is a ball"
    lights = True

    def __init__(
        self,
        *,
        samples: int = 4,
        lit_samples: int = 0,
        threads: int | None = None,
        limits: BlenderLimits | None = None,
        blender: BlenderProcess | None = None,
    ) -> None:
        """Start Blender.

        Args:
            samples: of each pixel's coverage; 1 makes it all or nothing, and rendering much faster.
            lit_samples: of each pixel of the lit views; 0 for none.
            threads: None for all cores.
            blender: in place of one made of `threads` and `limits`.

        Raises:
            InputError: numbers out of range.
            DeviceError: there is no Blender, or it is too old.
        """
        if not (1 <= samples <= 4096 and 0 <= lit_samples <= 4096):
            raise InputError(f"expected 1 to 4096 samples, 0 to 4096 lit ones, found {samples} and {lit_samples}")
        self.samples, self.lit_samples = samples, lit_samples
        self.rendering = 0.0
        self.process = blender or BlenderProcess(limits, threads=threads)
        self.process.start()
        self.name = f"blender {self.process.version}, cycles, {samples} samples"
        self._close = weakref.finalize(self, self.process.close)

    @classmethod
    def for_views(cls, *, lit_samples: int = 0, threads: int | None = None) -> Self:
        """See `Renderer.for_views`."""
        return cls(lit_samples=lit_samples, threads=threads)

    @classmethod
    def for_images(cls, views: int) -> Self:
        """See `Renderer.for_images`. As many samples lit as not: the very same rays see the ground."""
        seconds = max(BlenderLimits.seconds, SECONDS_OF_A_VIEW * views)
        return cls(samples=SAMPLES, lit_samples=SAMPLES, limits=BlenderLimits(seconds=seconds))

    def render(self, model: Model | Path, cameras: Sequence[Camera]) -> list[View]:
        """One view a camera, of a model in the unit frame, or of an FBX or COLLADA file, brought into it.

        Raises:
            InputError: the model has no triangles or too many materials, the file is not what it should be.
            RenderError: Blender failed at it, crashed, stalled or took too much. The next model is not affected.
            DeviceError: Blender was to be started again, and did not.
        """
        if isinstance(model, Path):
            model = read_with_blender(model, blender=self.process).normalized()
        with tempfile.TemporaryDirectory(prefix="enpointe-render-") as folder:
            job = {
                "do": "render", "folder": folder, "solid": (SOLID - 0.01) / 255, "parts": self._parts(),
                "cameras": [_header(camera) for camera in cameras], **_write(model, Path(folder)),
            }  # fmt: skip
            views: dict[int, View] = {}
            with closing(self.process.ask(job)) as answers:
                for answer in answers:
                    self._take(answer, cameras, views)
        return [views[number] for number in range(len(cameras))]

    def close(self) -> None:
        """Ends Blender."""
        self._close()

    def _take(self, answer: dict[str, Any], cameras: Sequence[Camera], views: dict[int, View]) -> None:
        if "error" in answer:
            raise RenderError(f"expected Blender to render the model, found {answer['error']}")
        if "done" in answer:
            self.rendering += answer["rendering"]
            return
        number = answer["view"]
        planes = _planes(Path(answer["path"]))
        match answer["part"]:
            case "flat":
                views[number] = _flat_view(cameras[number], planes)
            case "soft":
                views[number] = _softened(views[number], planes)
            case "lit":
                views[number] = replace(views[number], lit=_before_white(planes))

    def _parts(self) -> list[dict[str, Any]]:
        """What is rendered by all cameras, in this order."""
        parts = [{"name": "flat", "samples": 1, "lit": False, "surface": True}]
        if self.samples > 1:
            parts.append({"name": "soft", "samples": self.samples, "lit": False, "surface": False})
        if self.lit_samples:
            parts.append({"name": "lit", "samples": self.lit_samples, "lit": True, "surface": False})
        return parts


def _header(camera: Camera) -> dict[str, Any]:
    matrix = camera.world_from_camera @ _FROM_OPENCV
    return {"matrix": matrix.tolist(), "focal": camera.focal, "size": camera.size}


def _write(model: Model, folder: Path) -> dict[str, Any]:
    """Put the model's arrays and textures into files; returns what the job says of them."""
    used = np.unique(model.material)
    if len(model.triangles) == 0:
        raise InputError("expected a model with triangles, found none")
    if used[-1] >= _MOST_MATERIALS:
        raise InputError(f"expected at most {_MOST_MATERIALS} materials, found number {used[-1]}")
    shaded = bool((model.shade < 0.999).any())
    uv = model.uv - np.floor(model.uv.min(axis=1, keepdims=True))  # repeats all the same; small numbers are exact
    path = folder / "model"
    with path.open("wb") as file:
        file.write(model.triangles.astype("<f4").tobytes())
        file.write(uv.astype("<f4").tobytes())
        file.write(np.searchsorted(used, model.material).astype("<i4").tobytes())
        if shaded:
            file.write(np.concatenate([model.shade, np.ones_like(model.shade[..., :1])], -1).astype("<f4").tobytes())
    materials = [_write_material(model.materials[number], folder, int(number)) for number in used]
    return {"arrays": str(path), "faces": len(model.triangles), "shaded": shaded, "materials": materials}


def _write_material(material: Material, folder: Path, number: int) -> dict[str, Any]:
    color, texture, cut = material.color, material.texture, False
    if texture is not None:
        cut = bool((texture[..., 3] < SOLID).any())
        pixels = texture if cut else texture[..., :3]
        if not material.linear and (color < 1).any():
            # A product of values as displayed, which Blender's nodes know nothing of.
            pixels = pixels.copy()
            pixels[..., :3] = np.rint(pixels[..., :3] * color)
            color = np.ones(3, np.float32)
        path = folder / f"texture{number}.png"
        Image.fromarray(np.ascontiguousarray(pixels)).save(path, compress_level=1)
    return {
        "number": number + 1, "color": to_linear(color).tolist(), "smooth": material.smooth, "cut": cut,
        "texture": None if texture is None else str(path),
    }  # fmt: skip


def _planes(path: Path) -> dict[str, NDArray[np.float32]]:
    """An image's channels by pass and name ("Combined.R"); its file is removed."""
    try:
        channels = read_exr(path)
        path.unlink()
    except (InputError, OSError) as error:
        raise RenderError(f"expected an image that Blender wrote, found {error}") from error
    return {".".join(name.split(".")[-2:]): values for name, values in channels.items()}


def _flat_view(camera: Camera, planes: dict[str, NDArray[np.float32]]) -> View:
    there = planes["Combined.A"] > 0.5
    material = next(planes[name] for name in _MATERIAL_CHANNELS if name in planes)
    color = np.zeros((*there.shape, 4), np.uint8)
    for channel, name in enumerate("RGB"):
        color[..., channel] = np.where(there, _displayed(planes[f"Combined.{name}"]), 0)
    color[..., 3] = np.where(there, 255, 0)
    depth = np.where(there, planes["Depth.Z"], np.float32(np.inf))
    return View(camera, color, depth, np.where(there, material - 1, -1).astype(np.int16))


def _softened(view: View, planes: dict[str, NDArray[np.float32]]) -> View:
    """The view with the share of each pixel that is covered, and colors where that leaves out the center."""
    alpha = planes["Combined.A"]
    outline = (alpha > 0) & (view.color[..., 3] == 0)
    color = view.color.copy()
    for channel, name in enumerate("RGB"):
        color[outline, channel] = _displayed(planes[f"Combined.{name}"][outline] / alpha[outline])
    color[..., 3] = np.rint(alpha.clip(0, 1) * 255)
    return replace(view, color=color)


def _before_white(planes: dict[str, NDArray[np.float32]]) -> NDArray[np.uint8]:
    bright = [_displayed(planes[f"Combined.{name}"] + 1 - planes["Combined.A"]) for name in "RGB"]
    return np.stack(bright, axis=-1)


def _displayed(linear: NDArray[np.float32]) -> NDArray[np.uint8]:
    """sRGB bytes of linear light."""
    return _BYTES[(linear.clip(0, 1) * 65535 + 0.5).astype(np.uint16)]
