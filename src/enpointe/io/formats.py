"""Reading model files into coloured triangles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from enpointe.core.errors import InputError
from enpointe.io.assets.builder import ModelBuilder
from enpointe.io.assets.files import Files
from enpointe.io.assets.limits import CLOUD_LIMITS, AssetLimits
from enpointe.io.assets.model import Model
from enpointe.io.gltf.document import Document
from enpointe.io.gltf.scene import read_gltf
from enpointe.io.obj import read_obj
from enpointe.io.stl import read_ply, read_stl

KINDS = ("glb", "gltf", "obj", "ply", "stl")
_Y_UP = ("glb", "gltf", "obj")


def read_model(
    data: bytes,
    kind: str,
    files: Files,
    *,
    limits: AssetLimits = CLOUD_LIMITS,
    strict: bool = False,
    keep: Callable[[str], bool] = lambda node: True,
    palette: tuple[int, int] | None = None,
) -> Model:
    """A model from the bytes of a file. Of y-up kinds (glTF, OBJ), (x, y, z) becomes (x, -z, y).

    Args:
        kind: one of `KINDS`.
        strict: whether a missing or damaged texture or material file is an error; else it is done without.
        keep: chooses among the nodes of a glTF scene by name.
        palette: (rows, columns) of swatches that every texture of a glTF file is known to hold.

    Raises:
        InputError: the file is damaged, empty, beyond the limits, or refers to files outside its folder.
    """
    if kind not in KINDS:
        raise InputError(f"expected a file of {', '.join(KINDS)}, found {kind!r}")
    builder = ModelBuilder(limits)
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # the builder refuses what comes of it
            match kind:
                case "glb" | "gltf":
                    document = Document(data, kind, files, limits)
                    read_gltf(document, builder, keep=keep, palette=palette, strict=strict)
                case "obj":
                    read_obj(data, files, builder, strict=strict)
                case "ply":
                    read_ply(data, builder)
                case "stl":
                    read_stl(data, builder)
        model = builder.build()
    except (InputError, MemoryError):
        raise
    except Exception as error:  # what a damaged tree runs into has no end of names
        raise InputError(f"expected a sound model in {kind} format, found {error!r:.200}") from error
    if kind not in _Y_UP:
        return model
    x, y, z = (model.triangles[..., axis] for axis in range(3))
    return replace(model, triangles=np.stack([x, -z, y], axis=-1))
