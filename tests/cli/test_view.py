"""`enpointe view`: the page and the image of a cloud or a mesh."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from enpointe.cli import main


@pytest.mark.slow
def test_a_red_texture_is_seen_red(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A cube that is red by a texture of one color, darkened by a factor."""
    box = trimesh.creation.box()
    material = trimesh.visual.material.PBRMaterial(
        baseColorTexture=Image.new("RGB", (4, 4), (255, 0, 0)), baseColorFactor=[102, 102, 102, 255]
    )
    box.visual = trimesh.visual.TextureVisuals(uv=np.random.default_rng(0).random((8, 2)), material=material)
    (tmp_path / "red.glb").write_bytes(bytes(trimesh.Scene(box).export(file_type="glb")))
    assert main(["view", str(tmp_path / "red.glb"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["page"] == str(tmp_path / "red-view.html")
    pixels = np.asarray(Image.open(tmp_path / "red-view.png")).reshape(-1, 3).astype(int)
    seen = pixels[(pixels < 250).any(axis=1)]
    assert len(seen) > 0.1 * len(pixels)
    assert (seen[:, 0] - seen[:, 1:].max(axis=1)).min() >= 0
    assert np.median(seen, axis=0)[0] > 80
    assert np.median(seen, axis=0)[1:].max() == 0
    colors = re.search(r'"mesh":.*"colors":"([^"]*)"', (tmp_path / "red-view.html").read_text())
    assert colors is not None
    assert set(base64.b64decode(colors[1])) == {0, 170}  # sRGB of 40 % of the light
