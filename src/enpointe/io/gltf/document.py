"""The containers of a glTF file: its tree, buffers and arrays, each held against its size before it is read."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.io.assets.files import Files
from enpointe.io.assets.limits import AssetLimits

_JSON, _BINARY = 0x4E4F534A, 0x004E4942
_TYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_UNDERSTOOD = ("KHR_mesh_quantization", "KHR_texture_transform", "EXT_texture_webp", "KHR_lights_punctual")
_ELEMENTS_A_FACE = 10
"""Numbers of one array (of indices, or of what vertices carry) for each triangle that is allowed."""


class Document:
    """A glTF file's tree, and its arrays when they are needed."""

    def __init__(self, data: bytes, files: Files, limits: AssetLimits, *, binary: bool) -> None:
        """`binary`: a GLB file.

        Raises:
            InputError: the file is damaged, or needs an extension that is not known here.
        """
        self.files = files
        self.limits = limits
        self.tree, self._binary = read_tree(data, binary=binary)
        for name in self.tree.get("extensionsRequired", ()):
            if name not in _UNDERSTOOD and not str(name).startswith("KHR_materials_"):
                raise InputError(f"expected a file without the extension {name!r:.60}, which cannot be read here")
        most = limits.faces * _ELEMENTS_A_FACE
        for accessor in self.tree.get("accessors", ()):
            if accessor["count"] > most:
                raise InputError(f"expected arrays of at most {most} elements, found {accessor['count']} declared")
        self._buffers: dict[int, bytes] = {}

    def item(self, kind: str, index: Any) -> dict[str, Any]:
        """Number `index` of the tree's list `kind`.

        Raises:
            InputError: there is none.
        """
        items = self.tree.get(kind, ())
        if type(index) is not int or not 0 <= index < len(items) or not isinstance(items[index], dict):
            raise InputError(f"expected one of the file's {len(items)} {kind}, found number {index!r:.40}")
        return items[index]

    def vectors(self, index: Any, width: int) -> NDArray[Any]:
        """An accessor (count, width).

        Raises:
            InputError: it is of another width, or as of `accessor`.
        """
        array = self.accessor(index)
        if array.shape[1] != width:
            raise InputError(f"expected an array of {width} numbers a row, found {array.shape[1]}")
        return array

    def accessor(self, index: Any) -> NDArray[Any]:
        """An array (count, width): floats if it holds floats or is normalized, else integers (section 3.6.2).

        Raises:
            InputError: it does not fit into its buffer.
        """
        described = self.item("accessors", index)
        count, width = int(described["count"]), _WIDTHS[described["type"]]
        kind = np.dtype(_TYPES[described["componentType"]])
        if count < 0:
            raise InputError(f"expected a count of elements, found {count}")
        if "bufferView" in described:
            array = self._rows(described["bufferView"], described.get("byteOffset", 0), count, width, kind)
        else:
            array = np.zeros((count, width), kind)
        if "sparse" in described:
            sparse = described["sparse"]
            changed, where, what = sparse["count"], sparse["indices"], sparse["values"]
            at_kind = np.dtype(_TYPES[where["componentType"]])
            at = self._rows(where["bufferView"], where.get("byteOffset", 0), changed, 1, at_kind)[:, 0]
            if changed and not (at.min() >= 0 and at.max() < count):
                raise InputError(f"expected sparse indices below {count}, found {at.max()}")
            array = array.copy()
            array[at] = self._rows(what["bufferView"], what.get("byteOffset", 0), changed, width, kind)
        if described.get("normalized") and kind.kind in "iu":
            return np.maximum(array.astype(np.float32) / np.iinfo(kind).max, -1)
        return array

    def view(self, index: Any) -> memoryview:
        """The bytes of a buffer view."""
        described = self.item("bufferViews", index)
        buffer = self._buffer(described["buffer"])
        start, length = int(described.get("byteOffset", 0)), int(described["byteLength"])
        if start < 0 or length < 0 or start + length > len(buffer):
            raise InputError(f"expected a buffer of {start + length} bytes or more, found {len(buffer)}")
        return memoryview(buffer)[start : start + length]

    def fetch(self, uri: str) -> bytes:
        """What a URI stands for: a file within the folder, or data in itself."""
        if not uri.startswith("data:"):
            return self.files.get(uri)
        try:
            return base64.b64decode(uri.split(",", 1)[1], validate=True)
        except (IndexError, binascii.Error, ValueError) as error:
            raise InputError(f"expected data in base64, found {error}") from error

    def _buffer(self, index: Any) -> bytes:
        described = self.item("buffers", index)
        if index not in self._buffers:
            uri = described.get("uri")
            self._buffers[index] = self._binary if uri is None else self.fetch(str(uri))
        data = self._buffers[index]
        if len(data) < described["byteLength"]:
            raise InputError(f"expected a buffer of {described['byteLength']} bytes, found {len(data)}")
        return data

    def _rows(self, view: Any, offset: int, count: int, width: int, kind: np.dtype[Any]) -> NDArray[Any]:
        """Rows (count, width) of a buffer view, which may lie apart in it."""
        data = self.view(view)
        stride = int(self.item("bufferViews", view).get("byteStride", width * kind.itemsize))
        needed = offset + stride * (count - 1) + width * kind.itemsize if count else 0
        if offset < 0 or stride <= 0 or needed > len(data):
            raise InputError(f"expected a buffer view of {needed} bytes or more, found {len(data)}")
        if count == 0:
            return np.empty((0, width), kind)
        return np.ndarray((count, width), kind, data, offset, (stride, kind.itemsize))


def read_tree(data: bytes, *, binary: bool) -> tuple[dict[str, Any], bytes]:
    """A file's tree, and the buffer that a binary one has.

    Raises:
        InputError: the file is damaged.
    """
    text, buffer = _chunks(data) if binary else (data, b"")
    try:
        tree: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"expected a tree in JSON, found a damaged header ({error})") from error
    if not isinstance(tree, dict):
        raise InputError(f"expected a tree in JSON, found a {type(tree).__name__}")
    return tree, buffer


def _chunks(data: bytes) -> tuple[bytes, bytes]:
    """The tree and the buffer of a binary file (section 4.4)."""
    if len(data) < 20 or data[:4] != b"glTF":
        raise InputError(f"expected a binary glTF file, starting with 'glTF', found {data[:12]!r}")
    version, total, length, kind = struct.unpack_from("<4I", data, 4)
    if version != 2:
        raise InputError(f"expected version 2 of the format, found {version}")
    if total > len(data) or 20 + length > len(data) or kind != _JSON:
        raise InputError(f"expected {max(total, 20 + length)} bytes as the header declares, found {len(data)}")
    text, start = data[20 : 20 + length], 20 + length
    if start + 8 > len(data):
        return text, b""
    length, kind = struct.unpack_from("<2I", data, start)
    if kind != _BINARY:
        return text, b""
    if start + 8 + length > len(data):
        raise InputError(f"expected a buffer of {length} bytes, found {len(data) - start - 8}")
    return text, data[start + 8 : start + 8 + length]
