"""The PLY format: vertices and triangles, ASCII and binary of both byte orders.

Format: Greg Turk, "The PLY Polygon File Format" (1994). A file is untrusted: what its header declares is held
against the file's size before anything is allocated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.core.provenance import from_lines, to_lines
from enpointe.geometry.checks import Floats, Indices
from enpointe.geometry.colors import to_linear
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.io.assets.builder import GRAY, ModelBuilder, take
from enpointe.io.assets.files import Files
from enpointe.io.assets.model import Material
from enpointe.io.formats import FORMATS, CloudArrays, Format

HEADER_LIMIT = 1 << 20
ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
CODES = {"i1": "char int8", "i2": "short int16", "i4": "int int32", "f4": "float float32", "f8": "double float64"}
CODES |= {"u1": "uchar uint8", "u2": "ushort uint16", "u4": "uint uint32"}
TYPES = {name: code for code, names in CODES.items() for name in names.split()}
COLOR_NAMES = (("red", "green", "blue"), ("r", "g", "b"), ("diffuse_red", "diffuse_green", "diffuse_blue"))
FACE_LISTS = ("vertex_indices", "vertex_index")


@dataclass(frozen=True)
class PlyContent:
    """What a file holds.

    Attributes:
        points: (n, 3).
        colors: (n, 3) in [0, 1], if it has any.
        faces: (f, 3) triangles, if it has any.
        face_colors: (f, 3) in [0, 1], if it has any.
    """

    points: NDArray[Any]
    colors: NDArray[Any] | None
    faces: Indices | None
    face_colors: NDArray[Any] | None
    provenance: dict[str, Any] | None


@dataclass(frozen=True)
class _Property:
    name: str
    type: str
    count_type: str | None = None  # of a list's length


@dataclass(frozen=True)
class _Element:
    name: str
    count: int
    properties: list[_Property]

    def stored_as(self, order: str | None) -> _Element:
        """With the types that the body has: of this byte order, or (None) all doubles, a text's numbers."""

        def kind(of: str) -> str:
            return "f8" if order is None else order + of

        stored = [
            _Property(p.name, kind(p.type), kind(p.count_type) if p.count_type else None) for p in self.properties
        ]
        return _Element(self.name, self.count, stored)

    def least_bytes(self, ascii_text: bool) -> int:
        """How many bytes a row takes at least: an empty list is only its length; a number and a blank are two."""
        if ascii_text:
            return 2 * len(self.properties)
        return sum(np.dtype(p.count_type or p.type).itemsize for p in self.properties)


def parse(data: bytes, *, max_faces: int | None = None) -> PlyContent:
    """What a file's bytes hold.

    Raises:
        InputError: they are no PLY file with at least one vertex, or declare more than `max_faces` faces.
    """
    elements, order, comments, start = _parse_header(data)
    if max_faces is not None and any(e.name == "face" and e.count > max_faces for e in elements):
        raise InputError(f"expected at most {max_faces} faces, found more declared")
    declared = sum(element.count * element.least_bytes(order == "") for element in elements)
    available = len(data) - start + (order == "")  # the last number of a text needs no blank after it
    if declared > available:
        what = ", ".join(f"{element.count} of {element.name}" for element in elements)
        raise InputError(f"expected {declared} bytes or more after the header for {what}, found {len(data) - start}")
    body = memoryview(data)[start:] if order else _body_of_text(data[start:])
    points = colors = faces = face_colors = None
    at = 0
    for element in elements:
        rows, at = _read_rows(element.stored_as(order or None), body, at)
        if element.name == "vertex":
            points, colors = _points(rows), _colors(rows, element)
        elif element.name == "face":
            faces, polygon = _triangles(rows)
            polygon_colors = _colors(rows, element)
            face_colors = None if polygon_colors is None else polygon_colors[polygon]
    if points is None or len(points) == 0:
        raise InputError("expected at least one vertex, found none")
    return PlyContent(points, colors, faces, face_colors, from_lines(comments))


def _parse_header(data: bytes) -> tuple[list[_Element], str, list[str], int]:
    """Elements, byte order ("" for text), comments and where the body starts."""
    if data[:4].rstrip() != b"ply":
        raise InputError(f"expected a PLY file, starting with 'ply', found {data[:12]!r}")
    end = data.find(b"end_header", 0, HEADER_LIMIT)
    if end < 0:
        raise InputError(f"expected 'end_header' in the first {min(len(data), HEADER_LIMIT)} bytes, found none")
    newline = data.find(b"\n", end)
    order: str | None = None
    elements: list[_Element] = []
    comments: list[str] = []
    for line in data[4:end].decode("utf-8", "replace").replace("\r\n", "\n").split("\n"):
        match line.split():
            case [] | ["obj_info", *_]:
                pass
            case ["comment", *_]:
                comments.append(line.removeprefix("comment "))
            case ["format", name, "1.0"] if name in ORDERS:
                order = ORDERS[name]
            case ["element", name, count] if count.isascii() and count.isdigit() and len(count) < 19:
                elements.append(_Element(name, int(count), []))
            case ["property", "list", count_type, kind, name] if (
                elements and kind in TYPES and TYPES.get(count_type, "f")[0] in "iu"
            ):
                elements[-1].properties.append(_Property(name, TYPES[kind], TYPES[count_type]))
            case ["property", kind, name] if elements and kind in TYPES:
                elements[-1].properties.append(_Property(name, TYPES[kind]))
            case _:
                raise InputError(f"expected a line of a PLY header, found {line[:80]!r}")
    if order is None:
        raise InputError(f"expected a 'format' line, one of {', '.join(ORDERS)}, found none")
    for element in elements:
        names = [p.name for p in element.properties]
        if not names or len(set(names)) < len(names):
            raise InputError(f"expected properties of different names in {element.name!r}, found {names}")
    return elements, order, comments, len(data) if newline < 0 else newline + 1


Rows = dict[str, Any]
"""Property name -> an array over rows; of a list property an array (n, length), or a list of n arrays."""


def _read_rows(element: _Element, body: memoryview, at: int) -> tuple[Rows, int]:
    """The element's rows, from byte `at` on, and where they end."""
    if element.count == 0:
        return {p.name: np.empty(0, p.type) for p in element.properties}, at
    # Nearly every file's lists are all as long as the first row's; then all rows are one table.
    lengths = {name: len(v) for name, v in _read_row(element, body, at)[0].items() if np.ndim(v)}
    fields: list[Any] = []
    for p in element.properties:
        if p.count_type:
            fields += [(f"{p.name} length", p.count_type), (p.name, p.type, (lengths[p.name],))]
        else:
            fields.append((p.name, p.type))
    kind = np.dtype(fields)
    end = at + element.count * kind.itemsize
    if end <= len(body):
        table = np.frombuffer(body[at:end], dtype=kind)
        if all((table[f"{name} length"] == length).all() for name, length in lengths.items()):
            return {p.name: table[p.name] for p in element.properties}, end
    elif not lengths:
        raise _cut_short(element)
    rows = []
    for _ in range(element.count):
        row, at = _read_row(element, body, at)
        rows.append(row)
    columns = {p.name: [row[p.name] for row in rows] for p in element.properties}
    return {p.name: columns[p.name] if p.count_type else np.array(columns[p.name]) for p in element.properties}, at


def _read_row(element: _Element, body: memoryview, at: int) -> tuple[Rows, int]:
    row: Rows = {}
    for p in element.properties:
        count = 1
        if p.count_type:
            stated = _take(body, at, p.count_type, 1)
            if stated is None:
                raise _cut_short(element)
            if not (stated[0] >= 0 and stated[0] == np.floor(stated[0])):
                raise InputError(f"expected a list's length in {element.name}, found {stated[0]}")
            count, at = int(stated[0]), at + stated.nbytes
        values = _take(body, at, p.type, count)
        if values is None:
            raise _cut_short(element)
        row[p.name] = values if p.count_type else values[0]
        at += values.nbytes
    return row, at


def _take(body: memoryview, at: int, kind: str, count: int) -> NDArray[Any] | None:
    end = at + count * np.dtype(kind).itemsize
    return np.frombuffer(body[at:end], dtype=kind) if end <= len(body) else None


def _cut_short(element: _Element) -> InputError:
    return InputError(f"expected {element.count} rows of {element.name}, found the file's end before the last")


def _body_of_text(text: bytes) -> memoryview:
    """A text's numbers as doubles, so that the rest of the reader knows binary files only."""
    words = text.split()
    try:
        return memoryview(np.fromiter(map(float, words), dtype=np.float64, count=len(words)).tobytes())
    except ValueError as error:
        raise InputError(f"expected numbers after the header, found {str(error)[-60:]}") from None


def _colors(rows: Rows, element: _Element) -> NDArray[Any] | None:
    """(n, 3) in [0, 1]: whole numbers are divided by their type's largest."""
    kinds = {p.name: p.type for p in element.properties if not p.count_type}
    for names in COLOR_NAMES:
        if all(name in kinds for name in names):
            full = [1 if kinds[name][0] == "f" else np.iinfo(kinds[name]).max for name in names]
            return np.stack([rows[name] / top for name, top in zip(names, full, strict=True)], axis=1)
    return None


def _points(rows: Rows) -> NDArray[Any]:
    columns = [rows.get(axis) for axis in "xyz"]
    if any(not isinstance(column, np.ndarray) or column.ndim != 1 for column in columns):
        raise InputError(f"expected vertex properties x, y, z, found {', '.join(rows)}")
    return np.stack([np.asarray(column) for column in columns], axis=1)


def _triangles(rows: Rows) -> tuple[Indices, Indices]:
    """Polygons of any size as fans around their first corner (f, 3), and the polygon (f,) that each is of."""
    found = next((rows[name] for name in FACE_LISTS if name in rows), None)
    if found is None:
        raise InputError(f"expected a face property {' or '.join(FACE_LISTS)}, found {', '.join(rows)}")
    if isinstance(found, np.ndarray) and found.ndim == 2:
        blocks = [(found, np.arange(len(found)))]
    else:
        blocks = [(row[None], np.array([number])) for number, row in enumerate(found)]
    fans = [
        (np.stack([corners[:, 0], corners[:, i], corners[:, i + 1]], axis=1), number)
        for corners, number in blocks
        for i in range(1, corners.shape[1] - 1)
    ]
    if not fans:
        return np.empty((0, 3), np.int64), np.empty(0, np.int64)
    with np.errstate(invalid="ignore"):  # nonsense in a text becomes an index that is refused later
        return np.concatenate([fan for fan, _ in fans]).astype(np.int64), np.concatenate([number for _, number in fans])


def write(
    file: BinaryIO,
    points: Floats,
    colors: Floats | None,
    faces: Indices | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Binary little-endian, float positions, uchar colors: what viewers expect."""
    vertex: list[Any] = [("position", "<f4", 3)] + ([("color", "u1", 3)] if colors is not None else [])
    header = ["ply", "format binary_little_endian 1.0"]
    header += [f"comment {line}" for line in to_lines(provenance)] if provenance else []
    header += [f"element vertex {len(points)}", *(f"property float {axis}" for axis in "xyz")]
    rows = np.empty(len(points), dtype=vertex)
    rows["position"] = points
    if colors is not None:
        header += [f"property uchar {name}" for name in COLOR_NAMES[0]]
        rows["color"] = np.round(colors * 255.0)
    if faces is not None:
        header += [f"element face {len(faces)}", f"property list uchar int {FACE_LISTS[0]}"]
    file.write("\n".join([*header, "end_header", ""]).encode("ascii"))
    file.write(rows.tobytes())
    if faces is not None:
        table = np.empty(len(faces), dtype=[("length", "u1"), ("corners", "<i4", 3)])
        table["length"], table["corners"] = 3, faces
        file.write(table.tobytes())


def is_mesh(beginning: bytes) -> bool:
    """See `Format.is_mesh`: whether a header declares any faces."""
    header = beginning.partition(b"end_header")[0]
    return any(
        words[:2] == [b"element", b"face"] and words[2:] != [b"0"] for words in map(bytes.split, header.splitlines())
    )


def read_cloud(data: bytes) -> CloudArrays:
    """See `Format.read_cloud`."""
    content = parse(data)
    return CloudArrays(content.points, content.colors)


def read_model(data: bytes, files: Files, builder: ModelBuilder) -> None:
    """See `Format.read_model`; z up by custom, as scanners use these files."""
    content = parse(data, max_faces=builder.limits.faces)
    if content.faces is None or len(content.faces) == 0:
        raise InputError(f"expected a mesh, found {len(content.points)} points without any faces")
    builder.room_for(len(content.faces))
    corners = take(np.asarray(content.points, np.float64), content.faces, "vertices")
    if content.colors is not None:
        shade = _linear(content.colors)[content.faces]
    elif content.face_colors is not None:
        shade = np.repeat(_linear(content.face_colors)[:, None], 3, axis=1)
    else:
        gray = builder.add_material(Material(np.array(GRAY, np.float32)), colored=False)
        builder.add(corners, gray, vertex=content.faces)
        return
    white = builder.add_material(Material(np.ones(3, np.float32)))
    builder.add(corners, white, shade=shade, vertex=content.faces)


def read_provenance(data: bytes) -> dict[str, Any] | None:
    """See `Format.read_provenance`."""
    _, _, comments, _ = _parse_header(data)
    return from_lines(comments)


def write_cloud(file: BinaryIO, cloud: PointCloud, provenance: Mapping[str, Any] | None) -> None:
    """See `Format.write_cloud`; colors are rounded to 8 bits, channels are left out."""
    write(file, cloud.points, cloud.colors, provenance=provenance)


def write_mesh(file: BinaryIO, mesh: Mesh, provenance: Mapping[str, Any] | None) -> None:
    """See `Format.write_mesh`; colors are rounded to 8 bits."""
    write(file, mesh.vertices, mesh.colors, mesh.faces, provenance)


def _linear(colors: NDArray[Any]) -> NDArray[np.float32]:
    return to_linear(np.nan_to_num(colors).clip(0, 1).astype(np.float32))


FORMATS.register(".ply")(
    Format(
        read_cloud=read_cloud,
        read_model=read_model,
        is_mesh=is_mesh,
        read_provenance=read_provenance,
        write_cloud=write_cloud,
        write_mesh=write_mesh,
    )
)
