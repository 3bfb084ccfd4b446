"""What the joint model learns from, made ahead: pictures of objects as features, with captions as features.

The encoders are frozen, so that each picture and each caption goes through them once. Parts of the work are files
of their own: a run that was stopped goes on with the next part.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from enpointe.checkpoints.embedded import image_encoder, text_encoder
from enpointe.core.errors import InputError
from enpointe.core.files import replacing_name
from enpointe.data.captions import caption, draw_paint, shown_slots
from enpointe.data.pools.pool import Appearance, Pool
from enpointe.data.procedural.colors import SYNONYMS, shade
from enpointe.data.procedural.families import FAMILIES
from enpointe.data.procedural.family import Family
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.nn.efficientnet import image_features
from enpointe.render.software.perspective import Images, RenderConfig, render_cloud, render_mesh

OBJECTS = 128
"""Objects of a part."""
VIEWS, CAPTIONS = 2, 4
"""Images of each object, from opposite sides, and things said of it."""
REAL, MESH = 0.35, 0.3
"""How often an object is a real model, if there are any; how often a procedural one is shown as a mesh."""
WORN = 0.5
"""How often a cloud is worn as a generated one would be."""
_HEADER = "enpointe-looks"


@dataclass(frozen=True)
class Looks:
    """n objects.

    Attributes:
        pictures: (n, VIEWS, f) float16, see `nn.efficientnet.image_features`.
        texts: (n, CAPTIONS, 384) float16, MiniLM's sentence vectors.
        index: (n,) the pool's object, or one of whose family this one is another.
        captions: of each object CAPTIONS texts.
        colour: the word for its main colour, "" if it is a real model in its own.
        kind: "cloud", "worn cloud" or "mesh".
    """

    pictures: NDArray[np.float16]
    texts: NDArray[np.float16]
    index: NDArray[np.int64]
    captions: list[list[str]]
    colour: list[str]
    kind: list[str]


def make_looks(
    pool: Pool, folder: Path, n_objects: int, *, seed: int = 0, report: Callable[[str], None] = print
) -> None:
    """Make what is not there yet of so many objects, rounded up to whole parts.

    Raises:
        InputError: the folder holds parts made of another pool or seed.
        OutputError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stamp = f"{seed} {_fingerprint(pool)}"
    for part in range(-(-n_objects // OBJECTS)):
        path = _path(folder, part)
        if path.exists():
            _read(path, stamp)
            continue
        start = time.monotonic()
        _write(path, stamp, _part(pool, np.random.default_rng((seed, part))))
        report(f"looks: part {part + 1} of {-(-n_objects // OBJECTS)}, {time.monotonic() - start:.0f} s")


def read_looks(folder: Path) -> Looks:
    """All parts that are there.

    Raises:
        InputError: there is none, or one is damaged.
    """
    paths = sorted(folder.glob("part-*.safetensors"))
    if not paths:
        raise InputError(f"{folder}: expected parts of looks, found none")
    parts = [_read(path) for path in paths]
    return Looks(
        pictures=np.concatenate([part.pictures for part in parts]),
        texts=np.concatenate([part.texts for part in parts]),
        index=np.concatenate([part.index for part in parts]),
        captions=[texts for part in parts for texts in part.captions],
        colour=[name for part in parts for name in part.colour],
        kind=[name for part in parts for name in part.kind],
    )


def _path(folder: Path, part: int) -> Path:
    return folder / f"part-{part:05d}.safetensors"


def _fingerprint(pool: Pool) -> str:
    return f"{len(pool)} {zlib.crc32(np.ascontiguousarray(pool.points[::53, ::101]).tobytes()):08x}"


def _write(path: Path, stamp: str, looks: Looks) -> None:
    words = {"stamp": stamp, "captions": looks.captions, "colour": looks.colour, "kind": looks.kind}
    arrays: dict[str, NDArray[Any]] = {"pictures": looks.pictures, "texts": looks.texts, "index": looks.index}
    with replacing_name(path, what="looks", errors=(SafetensorError,)) as temporary:
        save_file(arrays, str(temporary), metadata={_HEADER: json.dumps(words)})


def _read(path: Path, stamp: str | None = None) -> Looks:
    try:
        with safe_open(str(path), "numpy") as file:
            words: dict[str, Any] = json.loads((file.metadata() or {})[_HEADER])
            arrays = {name: file.get_tensor(name) for name in ("pictures", "texts", "index")}
        looks = Looks(**arrays, captions=words["captions"], colour=words["colour"], kind=words["kind"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected a part of looks, found {error!r}") from error
    if stamp is not None and words["stamp"] != stamp:
        raise InputError(f"{path}: expected a part made of this pool and seed, found one of others")
    return looks


def _part(pool: Pool, rng: np.random.Generator) -> Looks:
    real = np.array([i for i in range(len(pool)) if pool.model(i) is not None])
    families: dict[str, list[int]] = {}
    for i, name in enumerate(pool.family):
        if name in FAMILIES:
            families.setdefault(name, []).append(i)
    pictures: list[NDArray[np.uint8]] = []
    index, captions, colour, kind = [], [], [], []
    for _ in range(OBJECTS):
        if len(real) and (not families or rng.random() < REAL):
            i = int(rng.choice(real))
        else:
            i = int(rng.choice(families[str(rng.choice(list(families)))]))
        shown, appearance, what = _look(pool, i, rng)
        pictures += list(shown)
        index.append(i)
        captions.append([appearance.caption(rng) for _ in range(CAPTIONS)])
        colour.append(appearance.color or "")
        kind.append(what)
    cpu = torch.device("cpu")
    seen = image_features(image_encoder(cpu).encode(pictures)).numpy().astype(np.float16)
    return Looks(
        seen.reshape(OBJECTS, VIEWS, -1), text_features(captions), np.array(index), captions, colour, kind
    )  # fmt: skip


def text_features(captions: list[list[str]]) -> NDArray[np.float16]:
    """(n, CAPTIONS, 384); each different text is encoded once."""
    texts = sorted({text for row in captions for text in row}, key=lambda text: (len(text), text))
    encoder = text_encoder(torch.device("cpu"))
    pooled = torch.cat([encoder.encode(texts[i : i + 32])[0] for i in range(0, len(texts), 32)])
    place = {text: i for i, text in enumerate(texts)}
    return pooled.numpy().astype(np.float16)[np.array([[place[text] for text in row] for row in captions])]


def _look(pool: Pool, index: int, rng: np.random.Generator) -> tuple[Images, Appearance, str]:
    """Images of an object, its paint and words, and how it is shown."""
    config = RenderConfig(
        views=VIEWS,
        azimuth=float(rng.uniform(0, 360)),
        elevation=float(rng.uniform(5, 45)),
        disc=float(rng.uniform(0.65, 1.0)),
    )
    if pool.model(index) is None and rng.random() < MESH:
        mesh, appearance = fresh_mesh(FAMILIES[pool.family[index]], rng)
        return render_mesh(mesh, config), appearance, "mesh"
    appearance = pool.appearance(index, rng)
    cloud = PointCloud(*pool.painted(index, appearance, int(rng.choice([1024, 4096])), rng))
    if rng.random() >= WORN:
        return render_cloud(cloud, config), appearance, "cloud"
    return render_cloud(worn(cloud, rng), config), appearance, "worn cloud"


def fresh_mesh(
    family: Family, rng: np.random.Generator, paint: dict[str, str] | None = None
) -> tuple[Mesh, Appearance]:
    """Another object of a family, its parts' own triangles, freshly painted unless the `paint` is given."""
    assembly = family.assemble(rng)
    paint = paint or draw_paint(family, rng)
    rgb = {slot.name: shade(paint[slot.name], rng) for slot in family.slots}
    vertices, faces, owner = assembly.mesh()
    of_vertex = np.zeros(len(vertices), np.int64)
    of_vertex[faces] = owner[:, None]  # parts share no vertices
    colors = np.array([rgb[part.slot] for part in assembly.parts], np.float32)[of_vertex]
    present = shown_slots(assembly)
    appearance = Appearance(
        np.array(list(rgb.values()), np.float32),
        paint[family.slots[0].name],
        lambda rng: caption(family, paint, present, assembly.adjectives, assembly.phrases, rng),
    )
    return Mesh(vertices.astype(np.float32), faces, colors), appearance


def worn(cloud: PointCloud, rng: np.random.Generator) -> PointCloud:
    """The cloud as a network might have drawn it: thinned, displaced, discoloured, with stray points."""
    keep = rng.random(len(cloud.points)) < rng.uniform(0.4, 1)
    keep[:256] = True  # they lie in random order
    points = cloud.points[keep] + rng.normal(0, 0.025 * rng.random(), (int(keep.sum()), 3))
    stray = rng.random(len(points)) < rng.uniform(0, 0.03)
    points[stray] += rng.normal(0, 0.08, (int(stray.sum()), 3))
    colors = cloud.colors[keep] + rng.normal(0, 0.12 * rng.random(), points.shape) + rng.normal(0, 0.03, 3)
    return PointCloud(points.astype(np.float32), colors.clip(0, 1).astype(np.float32))


def says(text: str, colour: str) -> bool:
    """Whether a text has a word for the colour."""
    return any(f" {word} " in f" {text.replace(',', ' ')} " for word in (colour, *SYNONYMS.get(colour, ())))
