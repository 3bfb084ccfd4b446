"""The release's published examples run from their imports to the figure, in a directory with its own cache folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from enpointe.geometry import Mesh
from point_e.util.point_cloud import PointCloud

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
EXAMPLES = ("text2pointcloud", "image2pointcloud", "pointcloud2mesh")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory in which all three have run."""
    folder = tmp_path_factory.mktemp("examples")
    data = folder / "example_data"
    data.mkdir()
    picture = Image.new("RGB", (64, 48), "white")
    ImageDraw.Draw(picture).rectangle((20, 12, 44, 36), fill="red")
    picture.save(data / "cube_stack.jpg")
    rng = np.random.default_rng(0)
    sides = rng.normal(size=(4096, 3))
    points = (0.4 * sides / np.linalg.norm(sides, axis=1, keepdims=True)).astype(np.float32)
    PointCloud(points, {name: rng.random(4096) for name in "RGB"}).save(str(data / "pc_corgi.npz"))
    scripts = [str(HERE / "examples" / f"{name}.py") for name in EXAMPLES]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(HERE.parents[1] / "src"), os.environ.get("PYTHONPATH", "")]),
        "MPLBACKEND": "Agg",
        "ENPOINTE_OFFLINE": "1",
        "ENPOINTE_CACHE": str(folder / "unused"),
    }
    done = subprocess.run(
        [sys.executable, str(HERE / "run_examples.py"), *scripts],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("name", EXAMPLES)
def test_there_is_a_figure(folder: Path, name: str) -> None:
    with Image.open(folder / f"{name}.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 5


@pytest.mark.parametrize("name", EXAMPLES[:2])
def test_the_cloud_has_4096_coloured_points(folder: Path, name: str) -> None:
    cloud = PointCloud.load(str(folder / f"{name}.npz"))
    assert cloud.coords.shape == (4096, 3)
    assert np.isfinite(cloud.coords).all()
    # Both halves are clipped to the unit frame; guidance by 3 may lead out of it, to -1 + 3 * 2 at the furthest.
    assert np.abs(cloud.coords).max() <= 0.5 * 5
    assert list(cloud.channels) == ["R", "G", "B"]
    steps = np.stack(list(cloud.channels.values())) * 255
    np.testing.assert_allclose(steps, steps.round(), atol=1e-4)


def test_the_mesh_has_the_nearest_points_colours(folder: Path) -> None:
    mesh = Mesh.load(folder / "mesh.ply")
    assert mesh.colors is not None
    cloud = PointCloud.load(str(folder / "example_data" / "pc_corgi.npz"))
    nearest = cloud.nearest_points(mesh.vertices)
    np.testing.assert_allclose(mesh.colors[:, 0], cloud.channels["R"][nearest], atol=1 / 254)


def test_nothing_was_downloaded(folder: Path) -> None:
    assert not (folder / "unused").exists()
    assert len(list((folder / "point_e_model_cache").iterdir())) == 4
