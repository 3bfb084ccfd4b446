"""Reading files that only Blender understands: FBX, and COLLADA up to Blender 4.5.

Blender gets a copy of the one file in a folder of its own, and never a texture: it says which ones the
materials wear, and those are read here, from the model's folder and within the limits, as any other's.
"""

from __future__ import annotations

import atexit
import functools
import html
import os
import posixpath
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from enpointe.core.errors import InputError, RenderError
from enpointe.geometry.colors import to_srgb
from enpointe.io.assets.builder import ModelBuilder, take
from enpointe.io.assets.files import FolderFiles, read_bounded
from enpointe.io.assets.limits import LIMITS, AssetLimits
from enpointe.io.assets.model import Material, Model
from enpointe.io.assets.textures import fetch_texture, read_texture
from enpointe.render.blender.process import BlenderProcess

KINDS = (".fbx", ".dae")
_ENCODING = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([^"']*)["']""")
_PLAIN_ENCODINGS = (b"utf-8", b"us-ascii", b"ascii", b"iso-8859-1", b"windows-1252")
_IMAGE_FILE = re.compile(
    rb"((?P<surface><(?:[\w.-]+:)?surface\b[^<>]*>\s*)?"
    rb"<(?:[\w.-]+:)?init_from\b[^<>]*(?<!/)>\s*(?:<(?:[\w.-]+:)?ref\s*>)?)(?P<meant>[^<]*)"
)
_IDENTIFIER = re.compile(rb"\s*[\w.-]+\s*")
_OTHER_DOCUMENT = re.compile(rb"""\b(?:url|href)\s*=\s*(?:"\s*[^#"\s]|'\s*[^#'\s])""")


def read_with_blender(
    path: Path,
    *,
    limits: AssetLimits = LIMITS,
    strict: bool = True,
    blender: BlenderProcess | None = None,
    within: Path | None = None,
) -> Model:
    """A model from an FBX or COLLADA file.

    Args:
        strict: whether a missing or damaged texture is an error; else the material is done without.
        blender: which one to ask; by default one that this process starts when first needed, and keeps.
        within: the folder that it may refer to; by default the one that it is in.

    Raises:
        InputError: the file is damaged, empty, beyond the limits, refers to files outside its folder, or is of
            a kind that this Blender cannot read.
        RenderError: Blender crashed at it, stalled or took too much.
        DeviceError: there is no Blender.
    """
    blender = blender or _own_blender(os.getpid())
    blender.start()
    kind = path.suffix.lower()
    if kind not in blender.reads:
        readable = ", ".join(blender.reads) or "nothing"
        hint = " (COLLADA left Blender with version 5: name a 4.5 in ENPOINTE_BLENDER)" if kind == ".dae" else ""
        raise InputError(f"{path.name!r}: Blender {blender.version} imports {readable}, not {kind}{hint}")
    files = FolderFiles(path.parent, limits, within)
    data = read_bounded(path, limits.bytes)
    files.left -= len(data)
    names: dict[str, str] = {}
    if kind == ".dae":
        data, names = _without_textures(data)
    with tempfile.TemporaryDirectory(prefix="enpointe-import-") as name:
        folder = Path(name)
        (folder / f"model{kind}").write_bytes(data)
        for stand_in in names:
            Image.new("RGB", (1, 1)).save(folder / stand_in)
        job = {
            "do": "read", "path": str(folder / f"model{kind}"), "arrays": str(folder / "arrays"), "folder": name,
            "faces": limits.faces,
        }  # fmt: skip
        *_, answer = blender.ask(job)
        if "error" in answer:
            found = " ".join(answer["error"].replace(f"{name}{os.sep}", "").split())
            raise InputError(f"{path.name!r}: expected a sound {kind} file, found {found}")
        builder = ModelBuilder(limits, strict=strict)
        for given in answer["materials"]:
            builder.add_material(_material(given, names, files, builder))
        plain = -1
        with (folder / "arrays").open("rb") as file:
            for part in answer["parts"]:
                if not part["materials"] and plain < 0:
                    plain = builder.add_material(Material(np.full(3, 0.8, np.float32), linear=True))
                _add(builder, part, file, plain)
    return builder.build()


@functools.cache
def _own_blender(pid: int) -> BlenderProcess:
    """One for each process that imports: a forked one must not speak into its parent's pipe."""
    blender = BlenderProcess(threads=1)
    atexit.register(lambda: blender.close() if os.getpid() == pid else None)
    return blender


def _without_textures(data: bytes) -> tuple[bytes, dict[str, str]]:
    """A COLLADA file whose images are stand-ins, and the names that these stand for.

    Raises:
        InputError: it declares entities, which may hold files or have no end, or refers to other documents.
    """
    encoding = _ENCODING.search(data[:1000])
    if b"\0" in data or (encoding is not None and encoding[1].lower() not in _PLAIN_ENCODINGS):
        raise InputError("expected a COLLADA file in UTF-8, found another encoding")
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise InputError("expected a COLLADA file without document type, found one")
    if found := _OTHER_DOCUMENT.search(data):
        raise InputError(f"expected a COLLADA file that refers to itself only, found {found[0]!r}")
    names: dict[str, str] = {}

    def stand_in(match: re.Match[bytes]) -> bytes:
        if match["surface"] and _IDENTIFIER.fullmatch(match["meant"]):
            return match[0]  # not a file's name, but that of an image
        name = f"texture{len(names)}.png"
        meant = html.unescape(match["meant"].decode("utf-8", "replace")).strip()
        names[name] = meant.removeprefix("file://")
        return match[1] + name.encode()

    return _IMAGE_FILE.sub(stand_in, data), names


def _material(
    given: Mapping[str, Any], names: Mapping[str, str], files: FolderFiles, builder: ModelBuilder
) -> Material:
    color = to_srgb(np.nan_to_num(np.array(given["color"], np.float32)))
    texture: NDArray[np.uint8] | None = None
    if given["packed"] is not None:
        texture = read_texture(
            read_bounded(Path(given["packed"]), builder.limits.bytes), given["image"], builder.limits
        )
    elif given["image"] is not None:
        name = given["image"].replace("\\", "/")
        name = names.get(posixpath.basename(name), name)
        if not names and name.startswith("../"):
            name = posixpath.basename(name)  # FBX: from where the author had exported to
        texture = fetch_texture(files, name, builder)
    if texture is not None and not given["cuts"]:
        texture[..., 3] = 255
    return Material(color, texture, linear=True)


def _add(builder: ModelBuilder, part: Mapping[str, Any], file: IO[bytes], plain: int) -> None:
    """Read what `entry` wrote of one mesh; `plain` is the material of those without any."""
    vertices, loops, triangles = (int(part[key]) for key in ("vertices", "loops", "triangles"))
    builder.room_for(triangles)
    positions = _values(file, "<f4", (vertices, 3)).astype(np.float64)
    corners = _values(file, "<i4", (triangles, 3))
    around = _values(file, "<i4", (triangles, 3))
    slots = _values(file, "<i4", (triangles,))
    uv = _values(file, "<f4", (loops, 2))[around] if part["uv"] else None
    shade = None
    if part["colors"] is not None:
        colors = _values(file, "<f4", (vertices if part["colors"] == "vertices" else loops, 4))[:, :3]
        if colors.any():  # all black is what exporters write that have none
            shade = colors[corners if part["colors"] == "vertices" else around]
    matrix = np.array(part["matrix"], np.float64)
    world = positions @ matrix[:3, :3].T + matrix[:3, 3]
    numbers = np.array(part["materials"] or [plain])
    material = numbers[slots.clip(0, len(numbers) - 1)]
    builder.add(take(world, corners, "vertices"), material, uv, shade)


def _values(file: IO[bytes], kind: str, shape: tuple[int, ...]) -> NDArray[Any]:
    values = np.fromfile(file, kind, int(np.prod(shape)))
    if values.size != np.prod(shape):
        raise RenderError("expected as many numbers as Blender counted, found fewer")
    return values.reshape(shape)
