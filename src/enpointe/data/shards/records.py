"""One object of the training data as it is stored: its cloud, views, captions and attribution."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from enpointe.core.errors import InputError
from enpointe.data.shards import tar
from enpointe.geometry.point_cloud import PointCloud
from enpointe.render.camera import Camera

SCALE = 32768
"""Steps of a stored position in the longest side of the object: eight times as fine as 1/4096."""
NORMAL_SCALE = 127
QUALITY = 90
"""Of WebP, 0 to 100; coverage is kept exactly."""
MAX_POINTS = 1 << 24
MAX_SIDE = 8192
"""Pixels along a side of an image that is opened."""
ID_DIGITS = 24

_HEAD = re.compile(
    rb"\x93NUMPY\x01\x00..{'descr': '(?P<kind>[^']{1,8})', 'fortran_order': False, "
    rb"'shape': \((?P<shape>[0-9]{1,12},(?: [0-9]{1,12})?)\), } *\n",
    re.DOTALL,
)
"""How a file begins in numpy's format 1.0."""

Scalar = TypeVar("Scalar", bound=np.generic)


def record_id(key: str) -> str:
    """A name (24 hexadecimal digits) for any key, which tar files can hold and by which records are sorted."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:ID_DIGITS]


@dataclass(frozen=True)
class StoredView:
    """An image as WebP (sRGB and coverage, without light), the same under lights or None, and its camera."""

    image: bytes
    camera: Camera
    lit: bytes | None = None

    def pixels(self) -> NDArray[np.uint8]:
        """(size, size, 4), not premultiplied.

        Raises:
            InputError: the image is damaged, or not of the camera's size.
        """
        return read_image(self.image, self.camera.size)

    def lit_pixels(self) -> NDArray[np.uint8] | None:
        """(size, size, 4), opaque; None where none was made. Raises InputError as `pixels`."""
        return None if self.lit is None else read_image(self.lit, self.camera.size)


@dataclass(frozen=True)
class Record:
    """An object of the training data.

    Attributes:
        key: unique and lasting.
        points: (n, 3) int16, positions in the unit frame (z up, centered, longest side 1) times `SCALE`.
        colors: (n, 3) uint8 sRGB.
        normals: (n, 3) int8, unit normals times `NORMAL_SCALE`, or None.
        material: (n,) int16, the material of its model at each point, -1 unknown, or None.
        views: its images with their cameras.
        captions: the closest first.
        licence: SPDX identifier where known, else the source's words.
        creator, source: who made it, and where it comes from.
        provenance: how the record was made, as JSON can hold it.
    """

    key: str
    points: NDArray[np.int16]
    colors: NDArray[np.uint8]
    captions: tuple[str, ...]
    licence: str
    creator: str
    source: str
    normals: NDArray[np.int8] | None = None
    material: NDArray[np.int16] | None = None
    views: tuple[StoredView, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def cloud(self) -> PointCloud:
        """In the unit frame."""
        return PointCloud((self.points / SCALE).astype(np.float32), (self.colors / 255).astype(np.float32))

    def encode(self) -> bytes:
        """The same record gives the same bytes: tar members (see `tar.members`) named by `record_id`, sorted."""
        name = record_id(self.key)
        files = {"json": _json(self), "points.npy": _npy(self.points), "colors.npy": _npy(self.colors)}
        if self.normals is not None:
            files["normals.npy"] = _npy(self.normals)
        if self.material is not None:
            files["material.npy"] = _npy(self.material)
        for i, view in enumerate(self.views):
            files[f"view.{i:03d}.webp"] = view.image
            if view.lit is not None:
                files[f"lit.{i:03d}.webp"] = view.lit
        return tar.members([(f"{name}.{suffix}", files[suffix]) for suffix in sorted(files)])


def quantized_points(points: NDArray[np.floating]) -> NDArray[np.int16]:
    """Positions (n, 3) in the unit frame as `Record.points`.

    Raises:
        InputError: one is not finite, or a whole side outside the unit cube.
    """
    scaled = np.round(np.asarray(points, np.float64) * SCALE)
    if not (np.abs(scaled) <= SCALE - 1).all():  # NaN is not
        raise InputError(f"expected points between -1 and 1, found {np.abs(points).max()}")
    return scaled.astype(np.int16)


def quantized_normals(normals: NDArray[np.floating]) -> NDArray[np.int8]:
    """Unit normals (n, 3) as `Record.normals`."""
    return np.round(np.clip(normals, -1, 1) * NORMAL_SCALE).astype(np.int8)


def webp(pixels: NDArray[np.uint8]) -> bytes:
    """An image (h, w, 3 or 4) as the records hold it."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=QUALITY, alpha_quality=100, method=2)
    return file.getvalue()


def read_image(data: bytes, size: int) -> NDArray[np.uint8]:
    """(size, size, 4) of a WebP image.

    Raises:
        InputError: it is damaged, or of another size.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("WEBP",)) as image:
            if image.size != (size, size) or size > MAX_SIDE:
                raise InputError(f"expected an image of {size} x {size} pixels, found {image.size}")
            return np.asarray(image.convert("RGBA"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"expected a WebP image, found {error}") from error


def decode(files: Iterable[tuple[str, bytes]]) -> Iterator[Record]:
    """The records of tar members, names and content, as `Record.encode` wrote them.

    Raises:
        InputError: a member is missing, damaged, or none of ours; it is named.
    """
    name, group = "", dict[str, bytes]()
    for member, content in files:
        start, dot, suffix = member.partition(".")
        if not dot or not re.fullmatch(f"[0-9a-f]{{{ID_DIGITS}}}", start):
            raise InputError(f"{member!r}: expected {ID_DIGITS} hexadecimal digits, a dot and a kind")
        if start != name and group:
            yield _record(name, group)
            group = {}
        if suffix in group:
            raise InputError(f"{member}: expected it once, found it twice")
        name = start
        group[suffix] = content
    if group:
        yield _record(name, group)


def _record(name: str, files: dict[str, bytes]) -> Record:
    try:
        record = _decoded(files)
        if record_id(record.key) != name:
            raise InputError(f"expected the record named {record_id(record.key)}, found its key {record.key!r} here")
    except InputError as error:
        raise InputError(f"record {name}: {error}") from error
    return record


def _decoded(files: dict[str, bytes]) -> Record:
    for required in ("json", "points.npy", "colors.npy"):
        if required not in files:
            raise InputError(f"expected a member {required}, found {', '.join(sorted(files))}")
    written = read_json(files.pop("json"), "json")
    points = _array(files.pop("points.npy"), np.int16, (3,), "points.npy")
    arrays: dict[str, Any] = {"colors": _array(files.pop("colors.npy"), np.uint8, (3,), "colors.npy")}
    if "normals.npy" in files:
        arrays["normals"] = _array(files.pop("normals.npy"), np.int8, (3,), "normals.npy")
    if "material.npy" in files:
        arrays["material"] = _array(files.pop("material.npy"), np.int16, (), "material.npy")
    for what, array in arrays.items():
        if len(array) != len(points):
            raise InputError(f"{what}.npy: expected {len(points)} rows as in points.npy, found {len(array)}")
    cameras = [Camera.of_header(header) for header in _list(written, "cameras")]
    views = tuple(
        StoredView(_take(files, f"view.{i:03d}.webp"), camera, files.pop(f"lit.{i:03d}.webp", None))
        for i, camera in enumerate(cameras)
    )
    if files:
        raise InputError(f"expected nothing but the record's members, found {', '.join(sorted(files))}")
    captions = tuple(_text(caption, "captions") for caption in _list(written, "captions"))
    provenance = written.get("provenance")
    if not isinstance(provenance, dict):
        raise InputError(f"json: expected an object as provenance, found {type(provenance).__name__}")
    return Record(
        key=_text(written.get("key"), "key"),
        points=points,
        captions=captions,
        licence=_text(written.get("licence"), "licence"),
        creator=_text(written.get("creator"), "creator"),
        source=_text(written.get("source"), "source"),
        views=views,
        provenance=provenance,
        **arrays,
    )


def _json(record: Record) -> bytes:
    return canonical_json(
        {
            "key": record.key,
            "captions": list(record.captions),
            "licence": record.licence,
            "creator": record.creator,
            "source": record.source,
            "cameras": [view.camera.header() for view in record.views],
            "scale": {"points": SCALE, "normals": NORMAL_SCALE},
            "provenance": dict(record.provenance),
        }
    )


def canonical_json(value: Any) -> bytes:
    """The one line that stands for a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def read_json(data: bytes, where: str) -> dict[str, Any]:
    """An object; InputError where it is none."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: expected JSON, found {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected a JSON object, found {type(value).__name__}")
    return value


def _list(written: dict[str, Any], name: str) -> list[Any]:
    value = written.get(name)
    if not isinstance(value, list):
        raise InputError(f"json: expected a list of {name}, found {type(value).__name__}")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"json: expected text as {what}, found {type(value).__name__}")
    return value


def _take(files: dict[str, bytes], name: str) -> bytes:
    if name not in files:
        raise InputError(f"expected a member {name} for its camera, found none")
    return files.pop(name)


def _npy(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    np.lib.format.write_array(file, little, version=(1, 0), allow_pickle=False)
    return file.getvalue()


def _array(data: bytes, kind: type[Scalar], tail: tuple[int, ...], where: str) -> NDArray[Scalar]:
    """An array (n, *tail) of that kind as `_npy` wrote it; numpy's own reader takes, and trips over, more."""
    wanted = np.dtype(kind)
    head = _HEAD.match(data)
    if head is None:
        raise InputError(f"{where}: expected a numpy array, found other bytes")
    shape = tuple(int(number) for number in head["shape"].split(b",") if number.strip())
    if head["kind"] != wanted.newbyteorder("<").str.encode() or shape[1:] != tail or len(shape) != 1 + len(tail):
        raise InputError(f"{where}: expected {wanted.str} of shape {('n', *tail)}, found {head['kind']!r}, {shape}")
    there = len(data) - head.end()
    if not 1 <= shape[0] <= MAX_POINTS or there != prod(shape) * wanted.itemsize:
        raise InputError(f"{where}: expected the bytes of shape {shape}, found {there}")
    return np.frombuffer(data, wanted, offset=head.end()).reshape(shape)
