"""The conversion of an asset in three steps, load, render and fuse, from bytes to bytes: any machine can do the next.

Pickled is only what passes between the processes of one build, as multiprocessing itself does it.
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe import __version__
from enpointe.core.errors import InputError
from enpointe.data.assets import Asset
from enpointe.data.build.config import BuildConfig
from enpointe.data.build.convert import Converted, LoadedAsset, OpenRenderer, attempt, finish, load
from enpointe.data.build.fuse import sampling_method
from enpointe.data.build.outcomes import Outcome
from enpointe.data.build.workers import JobFailure
from enpointe.render.camera import Camera
from enpointe.render.renderers import Renderer
from enpointe.render.view import View

LOAD, RENDER, FUSE = "load", "render", "fuse"
STEPS = (LOAD, RENDER, FUSE)

Step = Callable[[bytes], bytes | Converted | JobFailure]
"""From the state that the step before left (at first `pack(asset)`) to the next, or to what became of the asset."""


def pack(value: object) -> bytes:
    """Anything as bytes for another process of this build."""
    return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)


def unpack(data: bytes) -> Any:
    """What `pack` was given."""
    return pickle.loads(data)  # noqa: S301 - written by a process of this build


def local_version() -> str:
    """What must be the same on all machines for records to be."""
    return f"enpointe {__version__} with points chosen by {sampling_method()}"


@contextmanager
def open_step(
    name: str, open_renderer: OpenRenderer, config: BuildConfig, version: str, scratch: Path
) -> Iterator[Step]:
    """Opens a function that does one of `STEPS`; only RENDER opens a renderer. No bytes become no bytes.

    Args:
        version: `local_version` of the machine that leads the build.
        scratch: where libraries may put temporary files; it outlives this process, which may be killed.

    Raises:
        InputError: this machine has another version.
    """
    if version != (found := local_version()):
        raise InputError(f"expected {version}, as where the build is led, found {found}")
    scratch.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(scratch)
    with ExitStack() as stack:
        step: Step = partial(_load, config) if name == LOAD else partial(_fuse, config)
        if name == RENDER:
            step = partial(_render, config, stack.enter_context(open_renderer()))

        def work(state: bytes) -> bytes | Converted | JobFailure:
            try:
                return step(state) if state else b""
            except MemoryError:  # before the asset of this state was known
                return JobFailure("took more memory than it may")

        yield work


def _load(config: BuildConfig, state: bytes) -> bytes | Converted:
    asset: Asset = unpack(state)
    loaded = attempt(asset, lambda: load(asset, config))
    return (loaded, None) if isinstance(loaded, Outcome) else pack(loaded)


@dataclass(frozen=True)
class _Rendered:
    loaded: LoadedAsset
    renderer: str
    views: tuple[_Covered, ...]


def _render(config: BuildConfig, renderer: Renderer, state: bytes) -> bytes | Converted:
    loaded: LoadedAsset = unpack(state)

    def rendered() -> bytes:
        views = renderer.render(loaded.model, loaded.cameras)
        return pack(_Rendered(loaded, renderer.name, tuple(map(_covered, views))))

    made = attempt(loaded.asset, rendered)
    return (made, None) if isinstance(made, Outcome) else made


def _fuse(config: BuildConfig, state: bytes) -> Converted:
    rendered: _Rendered = unpack(state)
    loaded = rendered.loaded

    def finished() -> Converted:
        views: Sequence[View] = [covered.view() for covered in rendered.views]
        return finish(loaded, views, rendered.renderer, config)

    made = attempt(loaded.asset, finished)
    return (made, None) if isinstance(made, Outcome) else made


@dataclass(frozen=True)
class _Covered:
    """A view without its background, which is most of it."""

    camera: Camera
    shape: tuple[int, int]
    pixel: NDArray[np.int32]
    color: NDArray[np.uint8]
    depth: NDArray[np.float32]
    material: NDArray[np.int16]
    lit: NDArray[np.uint8] | None

    def view(self) -> View:
        """The view that it was made of, to the bit."""
        height, width = self.shape
        color = np.zeros((height * width, 4), np.uint8)
        depth = np.full(height * width, np.inf, np.float32)
        material = np.full(height * width, -1, np.int16)
        color[self.pixel], depth[self.pixel], material[self.pixel] = self.color, self.depth, self.material
        return View(
            self.camera, color.reshape(height, width, 4), depth.reshape(self.shape), material.reshape(self.shape),
            self.lit,
        )  # fmt: skip


def _covered(view: View) -> _Covered:
    whole = np.ascontiguousarray(view.color).view(np.uint32)[..., 0]
    background = (whole == 0) & (view.depth == np.inf) & (view.material == -1)
    pixel = np.flatnonzero(~background).astype(np.int32)
    height, width = view.depth.shape
    return _Covered(
        view.camera, (height, width), pixel, view.color.reshape(-1, 4)[pixel], view.depth.reshape(-1)[pixel],
        view.material.reshape(-1)[pixel], view.lit,
    )  # fmt: skip
