"""Wavefront OBJ and MTL files: y up by custom, textures' v upwards; written with colors of vertices, if any."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.core.provenance import to_lines
from enpointe.geometry.colors import to_linear
from enpointe.geometry.mesh import Mesh
from enpointe.io.assets.axes import y_up
from enpointe.io.assets.builder import GRAY, ModelBuilder, fans, take
from enpointe.io.assets.files import Files, MissingFileError
from enpointe.io.assets.model import Material
from enpointe.io.assets.textures import fetch_texture, mean_color
from enpointe.io.formats import FORMATS, Format

_MAP_OPTIONS = {"blendu": 1, "blendv": 1, "bm": 1, "boost": 1, "cc": 1, "clamp": 1, "imfchan": 1, "mm": 2, "texres": 1}
_MAP_VECTORS = ("o", "s", "t")


def read_model(data: bytes, files: Files, builder: ModelBuilder) -> None:
    """See `Format.read_model`."""
    lines = _Lines(data)
    if not lines.faces:
        raise InputError("expected a model with triangles, found no face")
    position = _table(lines.positions, "v")
    uv = _table(lines.uvs, "vt")[:, :2] if lines.uvs else None
    # Some writers add a color to each vertex: x y z r g b.
    shade = to_linear(position[:, 3:6].clip(0, 1).astype(np.float32)) if position.shape[1] >= 6 else None
    sizes, corners = _corners(lines)
    triangles = fans(sizes)
    builder.room_for(len(triangles))
    owner = np.repeat(np.array(lines.face_material, np.int64), np.maximum(sizes - 2, 0))
    vertex = corners[triangles, 0]
    placed = take(position[:, :3], vertex, "vertices")
    plain, textured = _materials(lines, files, builder, shade is not None)
    at_uv = corners[triangles, 1]
    mapped = None
    if uv is not None:
        has_uv = (at_uv >= 0).all(axis=1)
        mapped = take(uv, np.where(has_uv[:, None], at_uv, 0), "texture coordinates")
    elif (at_uv >= 0).any():
        raise InputError("expected texture coordinates that faces refer to, found none")
    else:
        has_uv = np.zeros(len(triangles), bool)
    material = np.where(has_uv, textured[owner], plain[owner])
    builder.add(placed, material, mapped, None if shade is None else shade[vertex], vertex=vertex)


class _Lines:
    """The lines of an OBJ file, sorted by what they say."""

    def __init__(self, data: bytes) -> None:
        self.positions: list[bytes] = []
        self.uvs: list[bytes] = []
        self.faces: list[bytes] = []
        self.face_material: list[int] = []
        self.libraries: list[str] = []
        self.materials: dict[str, int] = {"": 0}
        material, n_normals = 0, 0
        for line in data.replace(b"\\\r\n", b" ").replace(b"\\\n", b" ").splitlines():
            words = line.split(None, 1)
            if not words:
                continue
            word, rest = words if len(words) == 2 else (words[0], b"")
            if word == b"v":
                self.positions.append(rest)
            elif word == b"vn":
                n_normals += 1
            elif word == b"vt":
                self.uvs.append(rest)
            elif word == b"f":
                if b"-" in rest:
                    rest = _absolute(rest, (len(self.positions), len(self.uvs), n_normals))
                self.faces.append(rest)
                self.face_material.append(material)
            elif word == b"usemtl":
                material = self.materials.setdefault(_text(rest), len(self.materials))
            elif word == b"mtllib":
                self.libraries.append(_text(rest))


def _text(written: bytes) -> str:
    return written.strip().decode("utf-8", "surrogateescape")


def _absolute(face: bytes, counts: tuple[int, int, int]) -> bytes:
    """A face whose corners are counted back from the last vertex so far, counted from the first instead."""
    corners = []
    for corner in face.split():
        parts = corner.split(b"/")
        parts = [
            b"%d" % (count + 1 + int(p)) if p.startswith(b"-") else p for p, count in zip(parts, counts, strict=False)
        ]
        corners.append(b"/".join(parts))
    return b" ".join(corners)


def _table(rows: list[bytes], what: str) -> NDArray[np.float64]:
    """Rows of numbers (n, k), as many columns as all rows have.

    Raises:
        InputError: a row has fewer than three numbers (two for "vt"), or what is none.
    """
    least = 2 if what == "vt" else 3
    widths = set(map(len, map(bytes.split, rows)))
    width = min(widths, default=least)
    if width < least:
        raise InputError(f"expected {least} numbers in a row of '{what}', found {width}")
    if len(widths) > 1:
        rows = [b" ".join(row.split()[:width]) for row in rows]
    return _parsed(b" ".join(rows), np.dtype(np.float64), len(rows) * width, f"rows of '{what}'").reshape(-1, width)


def _parsed(text: bytes, kind: np.dtype[Any], count: int, what: str) -> NDArray[Any]:
    """`count` numbers between blanks."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what is no number is only warned of
            values = np.fromstring(text, kind, sep=" ")
    except (DeprecationWarning, ValueError) as error:
        raise InputError(f"expected numbers in {what}, found something else") from error
    if len(values) != count:
        raise InputError(f"expected {count} numbers in {what}, found {len(values)}")
    return values


def _corners(lines: _Lines) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many corners each face has (n,), and of all corners the numbers (c, 2) of vertex and uv from 0 on.

    The uv is -1 where there is none.
    """
    sizes = np.fromiter(map(len, map(bytes.split, lines.faces)), np.int64, len(lines.faces))
    slashes = np.fromiter((face.count(b"/") for face in lines.faces), np.int64, len(lines.faces))
    faces = lines.faces
    if (slashes == 2 * sizes).all():
        columns = 3
    elif (slashes == sizes).all():
        columns = 2
    elif not slashes.any():
        columns = 1
    else:
        # Faces of several kinds are brought to one.
        columns = 3
        whole = (slashes == 2 * sizes).tolist()
        faces = [f if done else b" ".join(map(_padded, f.split())) for f, done in zip(faces, whole, strict=True)]
    text = b" ".join(faces)
    while b"//" in text or b"/ " in text or text.endswith(b"/"):
        text = text.replace(b"//", b"/0/").replace(b"/ ", b"/0 ")
        text += b"0" if text.endswith(b"/") else b""
    flat = _parsed(text.replace(b"/", b" "), np.dtype(np.int64), int(sizes.sum()) * columns, "faces")
    table = flat.reshape(-1, columns)
    if table.size and (table[:, 0].min() < 1 or table.min() < 0):
        raise InputError(f"expected numbers from 1 on in a face, found {table.min()}")
    uv = table[:, 1] if columns > 1 else np.zeros(len(table), np.int64)
    return sizes, np.stack([table[:, 0], uv], axis=1) - 1


def _padded(corner: bytes) -> bytes:
    """With the slashes that it lacks: "1" as "1//", "1/2" as "1/2/"."""
    return corner + b"//"[: max(2 - corner.count(b"/"), 0)]


def _materials(
    lines: _Lines, files: Files, builder: ModelBuilder, shaded: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The builder's numbers of each of the file's materials, without and with their textures."""
    described: dict[str, dict[str, str]] = {}
    for library in lines.libraries:
        try:
            described |= _read_mtl(files.get(library))
        except MissingFileError as error:
            builder.do_without(error)
    plain, textured = [], []
    for name in lines.materials:
        color, texture = _surface(described.get(name, {}), files, builder)
        if texture is not None:
            color = np.ones(3, np.float32) if color is None else color
            plain.append(builder.add_material(Material(mean_color(texture) * color)))
            textured.append(builder.add_material(Material(color, texture)))
            continue
        default = (1, 1, 1) if shaded and name not in described else GRAY
        filled = np.array(default, np.float32) if color is None else color
        plain.append(builder.add_material(Material(filled), colored=color is not None))
        textured.append(plain[-1])
    return np.array(plain), np.array(textured)


def _read_mtl(data: bytes) -> dict[str, dict[str, str]]:
    """Material name -> keyword in lower case -> the rest of its line."""
    found: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in data.splitlines():
        word, _, rest = _text(line).replace("\t", " ").partition(" ")
        if word.lower() == "newmtl":
            current = found.setdefault(rest.strip(), {})
        elif word:
            current[word.lower()] = rest.strip()
    return found


def _surface(
    described: dict[str, str], files: Files, builder: ModelBuilder
) -> tuple[NDArray[np.float32] | None, NDArray[np.uint8] | None]:
    """A material's color (3,), and the texture that it multiplies; None where it has none."""
    color = _color(described.get("kd", ""))
    texture = None
    if "map_kd" in described:
        texture = fetch_texture(files, _map_name(described["map_kd"]), builder)
    if texture is None:
        return color, None
    if "map_d" in described and _map_name(described["map_d"]) != _map_name(described["map_kd"]):
        holes = fetch_texture(files, _map_name(described["map_d"]), builder)
        if holes is not None and holes.shape == texture.shape:
            texture[..., 3] = holes[..., :3].max(axis=2) if (holes[..., 3] == 255).all() else holes[..., 3]
    # Exporters write a dull gray beside a texture; only its tint can be meant.
    return (None if color is None or color.max() == 0 else color / color.max()), texture


def _color(written: str) -> NDArray[np.float32] | None:
    try:
        values = [float(word) for word in written.split()]
    except ValueError:
        return None
    if len(values) == 1:
        values = values * 3
    return np.nan_to_num(np.array(values[:3])).clip(0, 1).astype(np.float32) if len(values) >= 3 else None


def _map_name(written: str) -> str:
    """The file's name behind options such as "-s 1 1 1"; it may hold spaces."""
    words = written.split(" ")
    while words and words[0].startswith("-") and len(words) > 1:
        option = words[0][1:].lower()
        if option in _MAP_VECTORS:
            skip = 1
            while skip < 4 and skip < len(words) - 1 and _is_number(words[skip]):
                skip += 1
        elif option in _MAP_OPTIONS:
            skip = 1 + _MAP_OPTIONS[option]
        else:
            break
        words = words[skip:]
    return " ".join(words).strip()


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def write_mesh(file: BinaryIO, mesh: Mesh, provenance: Mapping[str, Any] | None) -> None:
    """See `Format.write_mesh`; colors follow the position on its line, as most readers understand."""
    columns = y_up(mesh.vertices) if mesh.colors is None else np.hstack([y_up(mesh.vertices), mesh.colors])
    lines = [f"# {line}" for line in to_lines(provenance)] if provenance else []
    lines += ["v " + " ".join(f"{value:.7g}" for value in row) for row in columns.tolist()]
    lines += [f"f {a} {b} {c}" for a, b, c in (mesh.faces + 1).tolist()]
    file.write("\n".join([*lines, ""]).encode("ascii"))


FORMATS.register(".obj")(Format(read_model=read_model, y_up=True, write_mesh=write_mesh))
