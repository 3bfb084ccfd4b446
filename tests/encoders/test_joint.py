"""The embedded joint model: unit rows, the same again, and that it knows what it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from enpointe.checkpoints.embedded import load_joint
from enpointe.core.errors import InputError, WeightsError
from enpointe.data.captions import draw_paint, with_article
from enpointe.data.procedural.colors import shade
from enpointe.data.procedural.families import FAMILIES
from enpointe.data.procedural.sampling import sample_surface
from enpointe.encoders.joint import BATCH, JointSpace
from enpointe.geometry.point_cloud import PointCloud
from enpointe.render.software.perspective import RenderConfig, render_cloud

GREY = np.full((40, 40, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def space() -> JointSpace:
    return load_joint(torch.device("cpu"))


@pytest.fixture(scope="module")
def shown() -> list[tuple[str, str, NDArray[np.uint8]]]:
    """Every third family's noun, the color, and one picture of a fresh object as a cloud of 2,048 points."""
    rng = np.random.default_rng(20_26)
    found = []
    for family in list(FAMILIES.values())[::3]:
        assembly, paint = family.assemble(rng), draw_paint(family, rng)
        surface = sample_surface(assembly, 2048, rng)
        rgb = {slot.name: shade(paint[slot.name], rng) for slot in family.slots}
        colors = np.array([rgb[assembly.parts[part].slot] for part in surface.part], np.float32)
        picture = render_cloud(PointCloud(surface.points.astype(np.float32), colors), RenderConfig(views=1))[0]
        found.append((family.names[0], paint[family.slots[0].name], picture))
    return found


def test_unit_rows_and_the_same_again(space: JointSpace) -> None:
    texts = ["a red car", "", "a blue chair with four legs"]
    rows = space.encode_texts(texts)
    assert rows.shape == (3, space.width)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert np.array_equal(rows, space.encode_texts(texts))
    images = space.encode_images([GREY, GREY[:30]])
    assert images.shape == (2, space.width)
    assert images.dtype == np.float32
    assert np.allclose(np.linalg.norm(images, axis=1), 1, atol=1e-5)
    assert np.array_equal(images, space.encode_images([GREY, GREY[:30]]))
    assert 1 < space.scale <= 100
    assert space is load_joint(torch.device("cpu"))


def test_a_row_does_not_depend_on_its_batch(space: JointSpace) -> None:
    alone = space.encode_texts(["a red car"])
    among = space.encode_texts([*["a dog with a collar and a tail"] * BATCH, "a red car"])
    assert np.allclose(among[-1], alone[0], atol=1e-4)


@pytest.mark.slow
def test_what_a_noun_and_a_colour_look_like(space: JointSpace, shown: list[tuple[str, str, NDArray[np.uint8]]]) -> None:
    """Guards the weights: one view each, the noun among those of 93 families, chance 1 in 93."""
    nouns = [family.names[0] for family in FAMILIES.values()]
    images = space.encode_images([picture for _, _, picture in shown])
    scores = images @ space.encode_texts([with_article(noun) for noun in nouns]).T
    own = scores[np.arange(len(shown)), [nouns.index(noun) for noun, _, _ in shown]]
    rank = (scores > own[:, None]).sum(1)
    assert (rank == 0).mean() >= 0.85
    assert (rank < 5).mean() >= 0.95
    colours = ["red", "yellow", "green", "blue", "purple", "pink", "black", "white", "orange"]
    plain = [(noun, colour, row) for (noun, colour, _), row in zip(shown, images, strict=True) if colour in colours]
    right = 0
    for noun, colour, row in plain:
        options = space.encode_texts([with_article(f"{one} {noun}") for one in colours])
        right += colours[int((options @ row).argmax())] == colour
    assert len(plain) >= 8
    assert right / len(plain) >= 0.75


def test_the_file_tells_its_quality(space: JointSpace) -> None:
    assert space.name == "pocket-joint"
    assert space.quality["retrieval"]
    assert all(0 <= row["R@1, 1 view"] <= row["R@5, 1 view"] <= 1 for row in space.quality["retrieval"])


@pytest.mark.parametrize("texts", ["a red car", [], [3], ["a", None]])
def test_what_is_no_text_is_an_error(space: JointSpace, texts: Sequence[str]) -> None:
    with pytest.raises(InputError, match="texts: expected"):
        space.encode_texts(texts)


@pytest.mark.parametrize("images", [[], [GREY / 255], [GREY[0]]])
def test_no_image_is_an_error(space: JointSpace, images: Sequence[NDArray[np.uint8]]) -> None:
    with pytest.raises(InputError, match="image"):
        space.encode_images(images)


def test_a_missing_file_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enpointe.checkpoints.embedded.embedded_path", lambda member: Path("none.safetensors"))
    load_joint.cache_clear()
    with pytest.raises(WeightsError, match="found none"):
        load_joint(torch.device("cpu"))
    load_joint.cache_clear()
