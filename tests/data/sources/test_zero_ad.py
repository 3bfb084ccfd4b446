"""What is made of the models of 0 A.D."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.hostile import CORNERS, FACES
from enpointe.core.errors import InputError
from enpointe.data.sources._zero_ad_mesh import read_pmd
from enpointe.data.sources.zero_ad import ZeroAD, clean_name
from enpointe.io.assets.limits import AssetLimits


def rgba(*pixels: tuple[int, int, int, int]) -> bytes:
    """A picture of one row."""
    file = io.BytesIO()
    Image.fromarray(np.array([pixels], np.uint8)).save(file, "png")
    return file.getvalue()


def pmd(version: int = 4, bone: int = 0) -> bytes:
    """The corners in a left-handed frame with one bone at (0, 5, 0) and a prop point at (1, 0, 0) of it."""
    rows = b""
    for corner in CORNERS:
        rows += struct.pack("<6f", *corner, 0, 1, 0) + struct.pack("<2f", corner[0], corner[1])
        rows += struct.pack("<4B4f", bone, 255, 255, 255, 1, 0, 0, 0)
    uv_sets = struct.pack("<I", 1) if version >= 4 else b""
    body = struct.pack("<I", len(CORNERS)) + uv_sets + rows
    body += struct.pack("<I", len(FACES)) + np.array(FACES, "<u2").tobytes()
    body += struct.pack("<I7f", 1, 0, 5, 0, 0, 0, 0, 1)
    body += struct.pack("<I", 1) + struct.pack("<I4s7fB", 4, b"roof", 1, 0, 0, 0, 0, 0, 1, bone)
    return struct.pack("<4sII", b"PSMD", version, len(body)) + body


def mod(folder: Path) -> Path:
    """A mod with a house of two variants, on whose roof lies a stone."""
    files = {
        "art/actors/structures/romans/house.xml": b"""<actor version="1"><group>
            <variant frequency="1"><mesh>wrong.dae</mesh></variant>
            <variant frequency="3" file="base.xml"><props><prop actor="geology/stone.xml" attachpoint="roof"/></props>
            </variant></group><material>player_trans.xml</material></actor>""",
        "art/variants/base.xml": b"""<variant><mesh>house.dae</mesh><textures><texture file="wall.png" name="baseTex"/>
            <texture file="gone.png" name="normTex"/></textures></variant>""",
        "art/actors/geology/stone.xml": b"""<actor version="1"><group><variant><mesh>house.dae</mesh></variant></group>
            </actor>""",
        "art/meshes/house.dae.cached.pmd": pmd(),
        "art/textures/skins/wall.png": rgba((200, 100, 50, 255), (255, 255, 255, 0)),
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("version", [3, 4])
def test_pmd_meshes_hold_triangles_uv_and_prop_points(version: int) -> None:
    mesh = read_pmd(pmd(version), AssetLimits())
    np.testing.assert_allclose(mesh.corners, np.array(CORNERS)[np.array(FACES)])
    np.testing.assert_allclose(mesh.uv, mesh.corners[:, :, :2])
    np.testing.assert_allclose(mesh.props["roof"][:3, 3], (1, 5, 0))
    np.testing.assert_allclose(read_pmd(pmd(version, bone=255), AssetLimits()).props["roof"][:3, 3], (1, 0, 0))


def test_every_cut_of_a_pmd_is_refused() -> None:
    whole = pmd()
    for length in range(len(whole)):
        with pytest.raises(InputError):
            read_pmd(whole[:length], AssetLimits())
    for wrong in (pmd(bone=3), whole.replace(b"PSMD", b"PSMA"), whole[:4] + b"\2" + whole[5:]):
        with pytest.raises(InputError, match="expected"):
            read_pmd(wrong, AssetLimits())
    with pytest.raises(InputError, match="at most 1 triangles"):
        read_pmd(whole, AssetLimits(faces=1))


def test_an_actor_is_its_commonest_look_with_what_is_put_onto_it(tmp_path: Path) -> None:
    stone, house = ZeroAD().open(mod(tmp_path))
    assert (house.key, house.name, house.nouns) == ("0ad/structures/romans/house", "Roman house", ("house",))
    assert (house.licence, house.creator) == ("CC-BY-SA-3.0", "Wildfire Games")
    model = house.load()
    assert model.triangles.shape == (4, 3, 3)
    z_up = np.array(CORNERS)[:, [0, 2, 1]]
    np.testing.assert_allclose(model.triangles[:2], z_up[np.array(FACES)][:, ::-1])  # right-handed now
    np.testing.assert_allclose(model.triangles[2:], model.triangles[:2] + np.array((1, 0, 5)))
    wall = model.materials[model.material[0]].texture
    np.testing.assert_array_equal(wall, [[(200, 100, 50, 255), (21, 55, 149, 255)]])  # the player's color
    assert model.materials[model.material[2]].texture is None
    np.testing.assert_allclose(stone.load().triangles, model.triangles[:2])


def test_actors_without_end_and_entities_are_refused(tmp_path: Path) -> None:
    path = mod(tmp_path) / "art/actors/geology/stone.xml"
    (stone,) = (asset for asset in ZeroAD().open(tmp_path) if asset.key.endswith("stone"))
    prop = '<props><prop actor="geology/stone.xml" attachpoint="root"/></props>'
    for content, reason in (
        (f"<actor><group><variant><mesh>house.dae</mesh>{prop}</variant></group></actor>", "parts, found more"),
        ("<actor><group><variant file='x.xml'/></group></actor>", "found none"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><actor/>", "document type"),
        ("<actor><group><variant><mesh>../../../../etc/passwd</mesh></variant></group></actor>", "outside"),
        ("<actor><group/></actor>", "expected a model with triangles"),
        ("<actor", "expected XML"),
        ("<qualitylevels><actor file='geology/stone.xml'/></qualitylevels>", "refers to others"),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=reason):
            stone.load()
    (tmp_path / "art/variants/base.xml").write_text("<variant file='base.xml'/>")
    (house,) = (asset for asset in ZeroAD().open(tmp_path) if asset.key.endswith("house"))
    with pytest.raises(InputError, match="based on others"):
        house.load()


@pytest.mark.parametrize(
    ("actor", "words"),
    [
        ("structures/hellenes/stable", ("Greek stable", "stable")),
        ("flora/trees/banana", ("banana tree", "banana tree")),
        ("fauna/horse_01", ("horse", "horse")),
    ],
)
def test_names_of_actors_become_words(actor: str, words: tuple[str, str]) -> None:
    assert clean_name(actor) == words
