"""Assets and a renderer that cost next to nothing, for builds that are killed and supervised."""

from __future__ import annotations

import faulthandler
import os
import signal
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from enpointe.core.errors import InputError
from enpointe.data.assets import Asset
from enpointe.data.build.config import BuildConfig, Thresholds
from enpointe.io.assets.model import Material, Model
from enpointe.render.camera import Camera
from enpointe.render.renderers import Renderer
from enpointe.render.view import View

CONFIG = BuildConfig("fake", views=4, size=24, points=128, thresholds=Thresholds(flat=0.03, empty=0.01, duplicate=0.05))


def box(size: ArrayLike, color: ArrayLike) -> Model:
    """A box of full extent `size`."""
    corners = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]) * np.asarray(size)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])
    return Model(
        corners[faces], np.zeros((12, 3, 2), np.float32), np.ones((12, 3, 3), np.float32), np.zeros(12, np.int64),
        (Material(np.array(color, np.float32)),),
    )  # fmt: skip


def _box_of(number: int) -> Model:
    rng = np.random.default_rng(number)
    return box(rng.uniform(0.2, 1, 3), rng.uniform(0, 1, 3))


def _slow_box_of(number: int) -> Model:
    time.sleep(0.5)
    return _box_of(number)


def _broken() -> Model:
    raise InputError("expected a model, found nonsense")


def _unforeseen() -> Model:
    none: dict[str, list[float]] = {}
    return box([1, 1, 1], none["no"])


def _sheet() -> Model:
    return box([1, 1, 0.01], [1, 1, 1])


def _needle() -> Model:
    return box([1, 0.001, 0.001], [1, 1, 1])


def _crash() -> Model:
    faulthandler.disable()  # pytest's would tell
    os.kill(os.getpid(), signal.SIGSEGV)
    return _broken()


def _crash_once(folder: Path) -> Model:
    if not (marker := folder / "crashed").exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return _box_of(1000)


def _hang() -> Model:
    time.sleep(1000)
    return _broken()


def _glutton() -> Model:
    np.ones(1 << 40, np.uint8)
    return _broken()


def asset(key: str, load: object) -> Asset:
    return Asset(key, key, ("thing",), (), "things", "CC0-1.0", "nobody", "nowhere", load)  # type: ignore[arg-type]


def boxes(count: int) -> list[Asset]:
    """Different boxes, with a copy of each tenth one, a broken one, a sheet, a needle and one that surprises."""
    good = [asset(f"box/{i:03d}", partial(_box_of, i)) for i in range(count)]
    copies = [asset(f"copy/{i:03d}", partial(_box_of, i)) for i in range(0, count, 10)]
    bad = {"broken": _broken, "sheet": _sheet, "needle": _needle, "unforeseen": _unforeseen}
    return good + copies + [asset(key, load) for key, load in bad.items()]


def slow(count: int) -> list[Asset]:
    """Different boxes that take a while to load, and one that cannot be loaded."""
    return [asset(f"box/{i:03d}", partial(_slow_box_of, i)) for i in range(count)] + [asset("broken", _broken)]


def troublesome(folder: Path) -> list[Asset]:
    """Assets that end their worker, each in its own way."""
    crash_once = partial(_crash_once, folder)
    loads = {"crash": _crash, "crash once": crash_once, "glutton": _glutton, "hang": _hang}
    return [asset(key, load) for key, load in loads.items()]


class FakeRenderer(Renderer):
    """Shows samples of the surface as single pixels."""

    name = "fake"

    def render(self, model: Model, cameras: Sequence[Camera]) -> list[View]:
        at = np.linspace(0, 1, 24)
        u, v = (grid.reshape(-1, 1) for grid in np.meshgrid(at, at))
        weights = np.concatenate([1 - np.sqrt(u), np.sqrt(u) * (1 - v), np.sqrt(u) * v], axis=1)
        points = np.einsum("wk,fkd->fwd", weights, model.triangles).reshape(-1, 3)
        return [_view(model, points, camera) for camera in cameras]


def _view(model: Model, points: np.ndarray, camera: Camera) -> View:
    pixels, along = camera.project(points)
    pixel = pixels.astype(int) @ [1, camera.size]
    depth = np.full(camera.size**2, np.inf, np.float32)
    np.minimum.at(depth, pixel, along.astype(np.float32))
    color = np.zeros((camera.size**2, 4), np.uint8)
    color[np.isfinite(depth)] = [*np.round(model.materials[0].color * 255), 255]
    shape = (camera.size, camera.size)
    material = np.where(np.isfinite(depth), 0, -1).astype(np.int16)
    return View(camera, color.reshape(*shape, 4), depth.reshape(shape), material.reshape(shape))
