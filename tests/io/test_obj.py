"""What is made of an OBJ file's details."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data.hostile import CORNERS, FACES, obj
from enpointe.core.errors import InputError
from enpointe.geometry.colors import to_linear
from enpointe.io.assets.files import FolderFiles
from enpointe.io.assets.model import Model
from enpointe.io.formats import read_model

UP = [(x, -z, y) for x, y, z in CORNERS]
EXPECTED = np.array(UP)[np.array(FACES)]


def read(folder: Path, data: bytes, kind: str, **options: Any) -> Model:
    return read_model(data, f".{kind}", FolderFiles(folder), **options)


def rgba(*pixels: tuple[int, int, int, int]) -> bytes:
    """An image of one row."""
    file = io.BytesIO()
    Image.fromarray(np.array([pixels], np.uint8)).save(file, "png")
    return file.getvalue()


@pytest.mark.parametrize(
    "faces",
    [
        "f 1 2 3 4\n", "f 1//1 2//2 3//3 4//4\n", "f 1/1/1 2/2/2 3/3/3 4/4/4\n", "f -4 -3 -2 -1\n",
        "f 1/1 2/2 3/3\nf 1 3 4\n", "f 1/ 2/ 3/ 4/\n", "f\t1 2 \\\n 3 4\n", "f 1/1/ 2/2/ 3/3/\nf 1//1 3//1 4//1\n",
    ],
)  # fmt: skip
def test_obj_faces_are_read_however_they_are_written(tmp_path: Path, faces: str) -> None:
    np.testing.assert_allclose(read(tmp_path, obj(faces=faces), "obj").triangles, EXPECTED)


def test_negative_numbers_count_from_where_they_stand(tmp_path: Path) -> None:
    first = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3 -2 -1\n"
    second = b"v 5 0 0\nv 6 0 0\nv 5 1 0\nf -3 -2 -1\n"
    triangles = read(tmp_path, first + second, "obj").triangles
    np.testing.assert_allclose(triangles[:, :, 0].min(axis=1), (0, 5))


def test_materials_of_an_obj_color_its_faces(tmp_path: Path) -> None:
    (tmp_path / "two words.mtl").write_bytes(
        b"newmtl plain\r\nKd 0.1 0.2 0.3\r\n\r\nnewmtl pic\nKd 0.5 0.5 0.5\nmap_Kd -o 0 0 -bm 2 my skin.png\n"
    )
    (tmp_path / "my skin.png").write_bytes(rgba((255, 0, 0, 255), (0, 0, 255, 255)))
    data = obj(mtl="two words.mtl", faces="usemtl plain\nf 1 2 3\nusemtl pic\nf 1/1 3/3 4/4\nf 1 2 4\n")
    model = read(tmp_path, data, "obj", strict=True)
    worn = [model.materials[number] for number in model.material]
    np.testing.assert_allclose(worn[0].color, (0.1, 0.2, 0.3), atol=1e-6)
    assert worn[0].texture is None
    np.testing.assert_array_equal(worn[1].texture, [[(255, 0, 0, 255), (0, 0, 255, 255)]])
    np.testing.assert_allclose(worn[1].color, (1, 1, 1))  # only a tint counts beside a texture
    assert worn[2].texture is None  # says no place on it, hence wears its mean
    np.testing.assert_allclose(worn[2].color, (0.5, 0, 0.5), atol=1e-6)
    np.testing.assert_allclose(model.uv[1], [(0, 0), (1, 1), (0, 1)])


def test_coverage_may_come_from_an_image_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"newmtl skin\nmap_Kd a.png\nmap_d holes.png\n")
    (tmp_path / "a.png").write_bytes(rgba((9, 9, 9, 255), (9, 9, 9, 255)))
    (tmp_path / "holes.png").write_bytes(rgba((255, 255, 255, 255), (0, 0, 0, 255)))
    texture = read(tmp_path, obj(mtl="m"), "obj").materials[-1].texture
    assert texture is not None
    np.testing.assert_array_equal(texture[0, :, 3], (255, 0))


def test_colors_of_vertices_are_srgb(tmp_path: Path) -> None:
    data = b"".join(b"v %d %d 0 0.5 0 1\n" % corner for corner in ((0, 0), (1, 0), (0, 1))) + b"f 1 2 3\n"
    model = read(tmp_path, data, "obj")
    np.testing.assert_allclose(model.shade[0, 0], to_linear(np.array((0.5, 0, 1), np.float32)), atol=1e-6)
    np.testing.assert_allclose(model.materials[0].color, (1, 1, 1))


def test_without_strictness_lost_textures_are_done_without(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"newmtl skin\nKd 0.2 0.4 0.6\nmap_Kd gone.png\n")
    model = read(tmp_path, obj(mtl="m"), "obj")
    np.testing.assert_allclose(model.materials[model.material[0]].color, (0.2, 0.4, 0.6), atol=1e-6)
    with pytest.raises(InputError, match=r"gone\.png"):
        read(tmp_path, obj(mtl="m"), "obj", strict=True)
