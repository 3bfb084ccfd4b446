"""A folder of more than 200 hostile 3D files and some good ones, made by code, with what is wrong with each."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Json = dict[str, Any]
CORNERS = [(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (1.0, 1.0, 0.0), (0.0, 1.0, 0.5)]
FACES: list[tuple[int, ...]] = [(0, 1, 2), (0, 2, 3)]
OUTSIDE = (
    "../../secret.png", "../../../etc/passwd", "/etc/passwd", "..\\..\\secret.png", "%2e%2e%2f%2e%2e%2fsecret.png",
    "file:///etc/passwd", "http://example.com/a.png", "C:\\Windows\\win.ini",
)  # fmt: skip
REFUSED = "expected a file within the model's"
NOT_FINITE = "expected coordinates within"


@dataclass
class Hostile:
    """The folder, and by asset key what is expected of each of its files.

    Attributes:
        folder: to be given to the source; beside it lies what must not be read.
        bad: key -> a pattern that the reason of its failure holds.
        good: key -> number of triangles.
    """

    folder: Path
    bad: dict[str, str] = field(default_factory=dict)
    good: dict[str, int] = field(default_factory=dict)


def make_hostile(root: Path) -> Hostile:
    """Write the files below `root`, each model into a folder of its own; the same ones each time."""
    made = Hostile(root / "assets")
    made.folder.mkdir(parents=True)
    (root / "secret.png").write_bytes(png())
    (root / "secret.mtl").write_text("newmtl skin\nKd 1 0 0\n")
    (root / "secret.bin").write_bytes(buffer())
    (root / "secret.obj").write_bytes(obj())
    (root / "secrets").mkdir()
    (root / "secrets" / "whole.obj").write_bytes(obj())
    for case in (
        _empty_and_garbage, _truncated, _not_finite, _wrong_indices, _wrong_files, _outside, _broken_trees,
        _too_much_declared, _bombs, _links_and_pipes, _without_surface,
    ):  # fmt: skip
        for number, (name, reason, files) in enumerate(case()):
            folder = f"{case.__name__[1:]}-{number:02d}"
            made.bad[_write(made.folder, folder, name, files)] = reason
    for number, (name, faces, files) in enumerate(_good()):
        made.good[_write(made.folder, f"good-{number:02d}", name, files)] = faces
    (made.folder / "linked-folder").symlink_to(root / "secrets")  # holds a model that is none of this folder's
    return made


Content = bytes | Callable[[Path], None]
Case = tuple[str, str, dict[str, Content]]


def _write(root: Path, folder: str, name: str, files: dict[str, Content]) -> str:
    (root / folder).mkdir()
    for file, content in files.items():
        path = root / folder / file
        if callable(content):
            content(path)
        else:
            path.write_bytes(content)
    return f"folder/{folder}/" + os.fsencode(name).decode("utf-8", "backslashreplace")


# Good files, from which the others are made


def png(size: tuple[int, int] = (2, 2)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(file, "png")
    return file.getvalue()


def obj(corners: list[Any] = CORNERS, faces: str = "f 1/1 2/2 3/3\nf 1/1 3/3 4/4\n", mtl: str = "") -> bytes:
    head = f"mtllib {mtl}\n" if mtl else ""
    rows = "".join(f"v {x} {y} {z}\n" for x, y, z in corners)
    return f"{head}{rows}vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nusemtl skin\n{faces}".encode()


def ply(corners: list[Any] = CORNERS, faces: list[tuple[int, ...]] = FACES, text: bool = False) -> bytes:
    kind = "ascii" if text else "binary_little_endian"
    head = (
        f"ply\nformat {kind} 1.0\nelement vertex {len(corners)}\nproperty float x\nproperty float y\nproperty float z\n"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    ).encode()
    if text:
        rows = [" ".join(map(str, corner)) for corner in corners]
        rows += [" ".join(map(str, (len(face), *face))) for face in faces]
        return head + "\n".join(rows).encode() + b"\n"
    body = np.array(corners, "<f4").tobytes()
    return head + body + b"".join(struct.pack(f"<B{len(face)}i", len(face), *face) for face in faces)


def stl(corners: list[Any] = CORNERS, text: bool = False) -> bytes:
    triangles = np.array(corners, "<f4")[np.array(FACES)]
    if text:
        rows = "".join(
            "facet normal 0 0 1\nouter loop\n"
            + "".join(f"vertex {x} {y} {z}\n" for x, y, z in triangle)
            + "endloop\nendfacet\n"
            for triangle in triangles
        )
        return f"solid thing\n{rows}endsolid thing\n".encode()
    body = b"".join(bytes(12) + triangle.tobytes() + bytes(2) for triangle in triangles)
    return bytes(80) + struct.pack("<I", len(triangles)) + body


def buffer(corners: list[Any] = CORNERS, faces: Any = FACES) -> bytes:
    uv = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], "<f4")
    return np.array(corners, "<f4").tobytes() + uv.tobytes() + np.array(faces, "<u2").tobytes()


def tree(**changes: Any) -> Json:
    """A textured mesh of two triangles whose buffer is "data.bin" and whose texture is "skin.png"."""
    made: Json = {
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "indices": 2, "material": 0}]}],
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
        "textures": [{"source": 0}], "images": [{"uri": "skin.png"}],
        "buffers": [{"uri": "data.bin", "byteLength": 92}],
        "bufferViews": [
            {"buffer": 0, "byteLength": 48}, {"buffer": 0, "byteOffset": 48, "byteLength": 32},
            {"buffer": 0, "byteOffset": 80, "byteLength": 12},
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5126, "count": 4, "type": "VEC2"},
            {"bufferView": 2, "componentType": 5123, "count": 6, "type": "SCALAR"},
        ],
    }  # fmt: skip
    return made | changes


def gltf(made: Json | None = None, data: bytes | None = None, skin: bytes | None = None) -> dict[str, Content]:
    return {
        "model.gltf": json.dumps(tree() if made is None else made).encode(),
        "data.bin": buffer() if data is None else data,
        "skin.png": png() if skin is None else skin,
    }


def glb(data: bytes | None = None, skin: bytes | None = None, **changes: Any) -> bytes:
    """One file: the picture follows the arrays in its buffer."""
    data, skin = buffer() if data is None else data, png() if skin is None else skin
    made = tree(buffers=[{"byteLength": len(data) + len(skin)}], images=[{"bufferView": 3, "mimeType": "image/png"}])
    made["bufferViews"].append({"buffer": 0, "byteOffset": len(data), "byteLength": len(skin)})
    text = json.dumps(made | changes).encode()
    text += b" " * (-len(text) % 4)
    body = data + skin + bytes(-len(data + skin) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(body), 0x004E4942) + body
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def archive(**files: bytes) -> bytes:
    """A zip archive; "__" in a name stands for a dot, "SLASH" for a slash."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name.replace("__", ".").replace("SLASH", "/"), content)
    return made.getvalue()


def _good() -> Iterator[tuple[str, int, dict[str, Content]]]:
    mtl = b"newmtl skin\nKd 1 1 1\nmap_Kd -s 1 1 1 skin.png\n"
    whole = obj(mtl="a b.mtl")
    yield "model.obj", 2, {"model.obj": whole, "a b.mtl": mtl, "skin.png": png()}
    yield "model.gltf", 2, gltf()
    yield "model.glb", 2, {"model.glb": glb()}
    yield "model.ply", 2, {"model.ply": ply()}
    yield "text.ply", 2, {"text.ply": ply(text=True)}
    yield "model.stl", 2, {"model.stl": stl()}
    yield "text.STL", 2, {"text.STL": stl(text=True)}
    zipped = archive(modelSLASHtable__obj=obj(mtl="t.mtl"), modelSLASHt__mtl=mtl, modelSLASHskin__png=png())
    yield "model.zip", 2, {"model.zip": zipped}
    uri = "data:application/octet-stream;base64," + base64.b64encode(buffer()).decode()
    yield "model.gltf", 2, gltf(tree(buffers=[{"uri": uri, "byteLength": 92}]))
    for name in (
        'it\'s "quoted" $(id) `id`.glb',
        "new\nline.glb",
        "🪑 chaise éé.glb",
        "-rf.glb",
        "%41%2e%2e.glb",
        "a" * 240 + ".glb",
    ):
        yield name, 2, {name: glb()}
    name = os.fsdecode(b"not-utf8-\xff\xfe.glb")
    yield name, 2, {name: glb()}
    yield (
        "model.obj",
        2,
        {
            "model.obj": obj(mtl="m\n"),
            "m": mtl.replace(b"skin.png", "ski\u00f1 #1.png".encode()),
            "ski\u00f1 #1.png": png(),
        },
    )
    yield "relative.obj", 2, {"relative.obj": obj(faces="f -4/-4 -3/-3 -2/-2\nf -4/-4 -2/-2 -1/-1\n")}
    # The author's own disk is not looked at; the file of that name in the folder is.
    own = b"newmtl skin\nmap_Kd C:\\Users\\me\\skin.png\n"
    yield "model.obj", 2, {"model.obj": obj(mtl="m"), "m": own, "skin.png": png()}
    chain = [{"children": [k + 1]} for k in range(20_000)] + [{"mesh": 0}]
    yield "model.gltf", 2, gltf(tree(nodes=chain))


# What is wrong


def _empty_and_garbage() -> Iterator[Case]:
    noise = np.random.default_rng(0).bytes(2000)
    for suffix in ("obj", "glb", "gltf", "ply", "stl", "zip"):
        for content in (b"", noise, b"\0" * 500):
            yield f"a.{suffix}", "expected", {f"a.{suffix}": content}


def _truncated() -> Iterator[Case]:
    whole = {
        "glb": glb(), "stl": stl(), "ply": ply(), "zip": archive(a__obj=obj()), "gltf": gltf()["model.gltf"],
    }  # fmt: skip
    for suffix, content in whole.items():
        assert isinstance(content, bytes)
        for share in (0.1, 0.5, 0.9):
            yield f"a.{suffix}", "expected", {f"a.{suffix}": content[: int(len(content) * share)]}
    yield "a.ply", "expected", {"a.ply": ply(text=True)[:-8]}
    yield "a.stl", "endsolid", {"a.stl": stl(text=True)[:-20]}
    yield "a.obj", "found no face", {"a.obj": obj()[:30]}
    yield "model.gltf", "expected a buffer of 92 bytes, found 50", gltf(data=buffer()[:50])
    for share in (0.3, 0.8):
        skin = png((64, 64))
        yield "model.gltf", "skin.png", gltf(skin=skin[: int(len(skin) * share)])


def _not_finite() -> Iterator[Case]:
    for value in (np.nan, np.inf, -np.inf, 1e30, -1e30):
        corners: list[Any] = [*CORNERS[:2], (0.0, value, 0.0), CORNERS[3]]
        data = buffer(corners)
        yield "a.obj", NOT_FINITE, {"a.obj": obj(corners)}
        yield "a.ply", NOT_FINITE, {"a.ply": ply(corners)}
        yield "a.ply", NOT_FINITE, {"a.ply": ply(corners, text=True)}
        yield "a.stl", NOT_FINITE, {"a.stl": stl(corners)}
        yield "a.stl", NOT_FINITE, {"a.stl": stl(corners, text=True)}
        yield "a.glb", NOT_FINITE, {"a.glb": glb(data)}
    yield "model.gltf", NOT_FINITE, gltf(tree(nodes=[{"mesh": 0, "scale": [1e300, 1e300, 1]}]))


def _wrong_indices() -> Iterator[Case]:
    for face in (
        "1 2 9",
        "0 1 2",
        "-9 1 2",
        "1/9 2/1 3/1",
        "1 2 x",
        "1.5 2 3",
        f"{10**20} 1 2",
        "1 2",
    ):
        yield "a.obj", "expected", {"a.obj": obj(faces=f"f {face}\n")}
    for corners in ((0, 1, 9), (0, 1, -1), (0, 1, 2**31 - 1)):
        yield "a.ply", "indices of vertices", {"a.ply": ply(faces=[corners])}
    for number in (4, 65535):
        data = buffer(faces=[(0, 1, 2), (0, 2, number)])
        yield "model.gltf", "indices of vertices", gltf(data=data)
    for name, value in (
        ("scenes", [{"nodes": [7]}]), ("nodes", [{"mesh": 7}]), ("nodes", [{"mesh": -1}]), ("nodes", [{"mesh": "0"}]),
        ("textures", [{"source": 7}]), ("textures", [{}]), ("textures", []), ("materials", []), ("scene", 3),
        ("bufferViews", []), ("buffers", []), ("accessors", []),
    ):  # fmt: skip
        yield "model.gltf", "expected", gltf(tree(**{name: value}))


def _wrong_files() -> Iterator[Case]:
    mtl = b"newmtl skin\nmap_Kd skin.png\n"
    none = "found none"
    yield "a.obj", none, {"a.obj": obj(mtl="gone.mtl")}
    yield "a.obj", none, {"a.obj": obj(mtl="m"), "m": mtl}
    yield "a.zip", none, {"a.zip": archive(a__obj=obj(mtl="m"), m=mtl)}
    whole = gltf()
    for missing in ("data.bin", "skin.png"):
        yield "model.gltf", none, {name: content for name, content in whole.items() if name != missing}
    for damaged in (b"", b"no picture at all", png()[:20], b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"):
        yield "a.obj", "expected an image", {"a.obj": obj(mtl="m"), "m": mtl, "skin.png": damaged}
        yield "model.gltf", "expected an image", gltf(skin=damaged)
    yield "a.glb", "expected an image", {"a.glb": glb(skin=b"no picture")}


def _outside() -> Iterator[Case]:
    for name in OUTSIDE:
        yield "a.obj", REFUSED, {"a.obj": obj(mtl=name.replace(".png", ".mtl"))}
        yield "a.obj", REFUSED, {"a.obj": obj(mtl="m"), "m": f"newmtl skin\nmap_Kd {name}\n".encode()}
        uri = name.replace(".png", ".bin")
        yield "model.gltf", REFUSED, gltf(tree(buffers=[{"uri": uri, "byteLength": 92}]))
        yield "model.gltf", REFUSED, gltf(tree(images=[{"uri": name}]))
    yield "a.zip", "outside", {"a.zip": archive(____SLASH____SLASHa__obj=obj())}
    yield "a.zip", "outside", {"a.zip": archive(bSLASHa__obj=obj(mtl="../m"), m=b"newmtl skin\n")}
    yield "model.gltf", "regular file", gltf(tree(images=[{"uri": "."}]))


def _broken_trees() -> Iterator[Case]:
    ring = [{"children": [(k + 1) % 100]} for k in range(100)]
    for nodes in (
        [{"children": [0]}],
        [{"children": [1]}, {"children": [0]}],
        ring,
        [{"children": [1, 1]}, {"mesh": 0}],
    ):
        yield "model.gltf", "nodes that form trees", gltf(tree(nodes=nodes))
    yield "model.gltf", "expected", gltf(tree(nodes=[{"children": [1]}, {"children": [0]}], scenes=[]))
    yield "model.gltf", "damaged header", {"model.gltf": b'{"nodes":' + b"[" * 200_000}
    yield "model.gltf", "found a list", {"model.gltf": b"[]"}
    for name, value in (("nodes", None), ("meshes", None), ("meshes", [{}]), ("nodes", [{"mesh": 0, "matrix": [1]}])):
        yield "model.gltf", "expected", gltf(tree(**{name: value}))
    yield "model.gltf", "extension", gltf(tree(extensionsRequired=["KHR_draco_mesh_compression"]))
    yield "a.glb", "version 2", {"a.glb": glb()[:4] + struct.pack("<I", 1) + glb()[8:]}
    yield "model.gltf", "base64", gltf(tree(buffers=[{"uri": "data:;base64,####", "byteLength": 92}]))
    head, body = ply().split(b"end_header\n")
    yield "a.ply", "expected a line", {"a.ply": head.replace(b"float x", b"quaternion x") + b"end_header\n" + body}
    yield "a.ply", "different names", {"a.ply": head.replace(b"float y", b"float x") + b"end_header\n" + body}
    yield "a.ply", "end_header", {"a.ply": head + b"comment x\n" * 200_000}
    yield "a.ply", "expected", {"a.ply": ply(text=True).replace(b"\n3 0", b"\n-3 0")}


def _too_much_declared() -> Iterator[Case]:
    for count in (10**8, 10**18):
        for text in (False, True):
            whole = ply(text=text)
            yield "a.ply", "expected", {"a.ply": whole.replace(b"face 2", b"face %d" % count)}
            yield "a.ply", "expected", {"a.ply": whole.replace(b"vertex 4", b"vertex %d" % count)}
    yield "a.ply", "end before|file's end", {"a.ply": ply(text=True).replace(b"\n3 0", b"\n99999999 0")}
    for count in (3, 10**8, 2**32 - 1):
        yield "a.stl", "triangles", {"a.stl": stl()[:80] + struct.pack("<I", count) + stl()[84:]}
    accessor = tree()["accessors"]
    for value in (5, 10**8, 10**15, -1, 1.5e9, "many", None, True):
        changed = [accessor[0] | {"count": value}, *accessor[1:]]
        yield "model.gltf", "expected", gltf(tree(accessors=changed))
    for change in (
        {"byteOffset": -4},
        {"byteOffset": 10**9},
        {"componentType": 5130},
        {"type": "MAT9"},
        {"bufferView": 9},
    ):
        yield "model.gltf", "expected", gltf(tree(accessors=[accessor[0] | change, *accessor[1:]]))
    view = tree()["bufferViews"]
    for change in ({"byteLength": 10**12}, {"byteOffset": -8}, {"byteStride": 0}, {"byteStride": 10**9}, {"buffer": 3}):
        yield "model.gltf", "expected", gltf(tree(bufferViews=[view[0] | change, *view[1:]]))
    yield "model.gltf", "expected a buffer", gltf(tree(buffers=[{"uri": "data.bin", "byteLength": 10**12}]))
    yield "a.glb", "as the header declares", {"a.glb": glb()[:12] + struct.pack("<I", 4 * 10**9) + glb()[16:]}
    # One small mesh, drawn a million times; a larger one, drawn often enough.
    many = [{"children": list(range(1, 1001))}, *({"mesh": 0} for _ in range(1000))]
    primitive = tree()["meshes"][0]["primitives"][0]
    yield "model.gltf", "at most 20000 parts", gltf(tree(nodes=many, meshes=[{"primitives": [primitive] * 1000}]))
    larger = buffer(faces=FACES * 3000)
    drawn: Json = {
        "buffers": [{"uri": "data.bin", "byteLength": len(larger)}],
        "bufferViews": [*tree()["bufferViews"][:2], {"buffer": 0, "byteOffset": 80, "byteLength": len(larger) - 80}],
        "accessors": [*accessor[:2], accessor[2] | {"count": 18_000}],
    }
    yield "model.gltf", "at most 2000000 triangles", gltf(tree(nodes=many, **drawn), larger)
    strip = [{"primitives": [{"attributes": {"POSITION": 0}, "mode": 5}]}]
    huge = [{"componentType": 5126, "count": 19_999_999, "type": "VEC3"}]
    yield "model.gltf", "at most 2000000 triangles", gltf(tree(meshes=strip, accessors=huge))
    sparse = {"count": 1, "indices": {"bufferView": 2, "componentType": 5125}, "values": {"bufferView": 0}}
    yield "model.gltf", "sparse", gltf(tree(accessors=[accessor[0] | {"sparse": sparse}, *accessor[1:]]))


def _bombs() -> Iterator[Case]:
    mtl = b"newmtl skin\nmap_Kd skin.png\n"
    pictures = {f"{w} x {h}": _huge_png(w, h) for w, h in ((60_000, 60_000), (9000, 9000))}
    pictures["60000 bmp"] = b"BM" + struct.pack(
        "<IHHIIiiHHIIiiII", 99, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0
    )
    pictures["65535 gif"] = (
        b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0)
    )
    for picture in pictures.values():
        yield "a.obj", "pixels|image", {"a.obj": obj(mtl="m"), "m": mtl, "skin.png": picture}
        yield "model.gltf", "pixels|image", gltf(skin=picture)
        yield "a.glb", "pixels|image", {"a.glb": glb(skin=picture)}
    text = b"Comment\0\0" + zlib.compress(bytes(70 << 20), 1)
    whole = png()
    yield "model.gltf", "expected an image", gltf(skin=whole[:33] + _chunk(b"zTXt", text) + whole[33:])
    yield "a.zip", "at most", {"a.zip": _lying_zip("a.obj", declared=4_000_000_000)}
    yield "a.zip", "readable entry", {"a.zip": _lying_zip("a.obj", declared=10)}
    yield "a.zip", "at most", {"a.zip": _lying_zip("skin.png", declared=300 << 20, model=obj(mtl="m"), m=mtl)}
    yield "a.zip", "archive of one model", {"a.zip": archive(b__zip=archive(a__obj=obj()))}
    yield "a.zip", "archive of one model", {"a.zip": archive(a__obj=obj(), b__obj=obj())}
    locked = bytearray(archive(a__obj=obj()))
    locked[6] |= 1
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    yield "a.zip", "readable entry", {"a.zip": bytes(locked)}

    def sparse(path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(300 << 20)  # takes no room on the disk

    yield "a.obj", "at most 268435456 bytes", {"a.obj": sparse}
    yield "model.gltf", "at most", gltf() | {"data.bin": sparse}


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _huge_png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1 << 20))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def _lying_zip(name: str, declared: int, model: bytes = b"", **files: bytes) -> bytes:
    """An archive whose entry `name`, a megabyte, says that it has `declared` bytes."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for other, content in files.items():
            file.writestr(other, content)
        if model:
            file.writestr("model.obj", model)
        file.writestr(name, b"v 0 0 0\n" * (1 << 17))
    data = bytearray(made.getvalue())
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", declared)
    return bytes(data)


def _links_and_pipes() -> Iterator[Case]:
    mtl = b"newmtl skin\nmap_Kd skin.png\n"

    def link(target: str) -> Callable[[Path], None]:
        return lambda path: path.symlink_to(target)

    yield "a.obj", REFUSED, {"a.obj": link("../../secret.obj")}
    yield "a.obj", REFUSED, {"a.obj": link("/etc/passwd")}
    yield "a.obj", REFUSED, {"a.obj": link("/dev/zero")}
    yield "a.obj", "expected", {"a.obj": link("nowhere.obj")}
    yield "a.obj", "expected", {"a.obj": link("a.obj")}
    yield "a.zip", REFUSED, {"a.zip": link("/dev/zero")}
    yield "a.obj", REFUSED, {"a.obj": obj(mtl="m"), "m": link("../../secret.mtl")}
    yield "a.obj", REFUSED, {"a.obj": obj(mtl="m"), "m": mtl, "skin.png": link("../../secret.png")}
    yield "model.gltf", REFUSED, gltf() | {"data.bin": link("../../secret.bin")}
    yield "model.gltf", REFUSED, gltf() | {"skin.png": link("../../secret.png")}
    through = tree(images=[{"uri": "up/secret.png"}])
    yield "model.gltf", REFUSED, gltf(through) | {"up": link("../..")}
    yield "a.stl", "regular file", {"a.stl": os.mkfifo}
    yield "a.zip", "regular file", {"a.zip": os.mkfifo}
    yield "model.gltf", "regular file", gltf() | {"skin.png": os.mkfifo}
    yield "a.obj", "regular file", {"a.obj": obj(mtl="m"), "m": os.mkfifo}
    yield "model.gltf", "expected the name of a file", gltf(tree(images=[{"uri": "a\0b.png"}]))
    yield "model.gltf", "expected the name of a file|within the model", gltf(tree(images=[{"uri": "x" * 5000}]))


def _without_surface() -> Iterator[Case]:
    point = [(1.0, 2.0, 3.0)] * 4
    yield "a.obj", "some extent", {"a.obj": obj(point)}
    yield "a.ply", "some extent", {"a.ply": ply(point)}
    yield "a.glb", "some extent", {"a.glb": glb(buffer(point))}
    yield "a.ply", "without any", {"a.ply": ply(faces=[])}
    yield "a.stl", "found none", {"a.stl": bytes(84)}
    yield "a.obj", "no face", {"a.obj": obj(faces="")}
    lines = tree(meshes=[{"primitives": [{"attributes": {"POSITION": 0}, "mode": 1}]}])
    yield "model.gltf", "found none", gltf(lines)
    yield "model.gltf", "found none", gltf(tree(nodes=[{"name": "empty"}]))
    for name in ("'; DROP TABLE--.glb", "bad\nline.ply", "💥.stl"):
        yield name, "expected", {name: b"nothing"}


def matches(reason: str, pattern: str) -> bool:
    """Whether a failure's reason holds what was expected."""
    return re.search(pattern, reason) is not None
