"""What the joint model learns from, made ahead: images of objects as features, with captions as features.

The encoders are frozen, so that each image and each caption goes through them once. Parts of the work are files
of their own: a run that was stopped continues with the next part.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from enpointe.checkpoints.embedded import image_encoder, text_encoder
from enpointe.core.errors import InputError
from enpointe.core.files import replacing_name
from enpointe.core.progress import Progress, ProgressCallback, no_progress
from enpointe.data.captions import caption, draw_paint, shown_slots
from enpointe.data.datasets.dataset import check_share
from enpointe.data.datasets.epochs import EpochStream, epoch_order
from enpointe.data.example import Example
from enpointe.data.pools.appearances import Appearance
from enpointe.data.pools.pool import Pool
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
"""Images of each object, from opposite sides, and captions of it."""
REAL, MESH = 0.35, 0.3
"""How often an object is a real model, if there are any; how often a procedural one is shown as a mesh."""
DEGRADED = 0.5
"""How often a cloud is degraded as a generated one would be."""
_HEADER = "enpointe-image-text"


@dataclass(frozen=True)
class ImageText:
    """Features of n objects.

    Attributes:
        images: (n, VIEWS, f) float16, see `nn.efficientnet.image_features`.
        texts: (n, CAPTIONS, 384) float16, MiniLM's sentence vectors.
        index: (n,) the pool's object, or one of whose family this one is another.
        captions: of each object CAPTIONS texts.
        color: the word for its main color, "" if it is a real model in its own colors.
        kind: "cloud", "degraded cloud" or "mesh".
    """

    images: NDArray[np.float16]
    texts: NDArray[np.float16]
    index: NDArray[np.int64]
    captions: list[list[str]]
    color: list[str]
    kind: list[str]


@dataclass(frozen=True, eq=False)
class FeatureDataset:
    """Rows of features as a data set: an example's key is its row, its cloud is empty.

    Attributes:
        features: of all rows.
        training, reserved: the rows to train on, and those that are held out.
        held_out: which of them; None for both.
        rank, ranks: which share.
    """

    features: ImageText
    training: tuple[int, ...]
    reserved: tuple[int, ...]
    held_out: bool | None = None
    rank: int = 0
    ranks: int = 1

    @property
    def size(self) -> int:
        return len(self._share(self._rows))

    def split(self, held_out: bool) -> Self:
        return replace(self, held_out=held_out)

    def share(self, rank: int, ranks: int) -> Self:
        check_share(rank, ranks)
        return replace(self, rank=rank, ranks=ranks)

    def stream(self, seed: int = 0) -> EpochStream:
        if not self.size:
            raise InputError("expected features in this part of the data, found none")

        def epoch(number: int) -> NDArray[np.int64]:
            return self._share(epoch_order(self._rows, None, np.random.default_rng([seed, number])))

        identity = {"rows": len(self._rows), "held_out": self.held_out, "rank": self.rank, "ranks": self.ranks}
        return EpochStream(epoch, lambda row, _: self._example(row), seed, identity)

    @property
    def _rows(self) -> NDArray[np.int64]:
        chosen = {False: self.training, True: self.reserved, None: self.training + self.reserved}[self.held_out]
        return np.array(chosen, dtype=np.int64)

    def _share(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return rows[self.rank * len(rows) // self.ranks : (self.rank + 1) * len(rows) // self.ranks]

    def _example(self, row: int) -> Example:
        empty = np.zeros((0, 3), np.float32)
        return Example(str(row), empty, empty, tuple(self.features.captions[row]))


def make_image_text(
    pool: Pool, folder: Path, n_objects: int, *, seed: int = 0, progress: ProgressCallback = no_progress
) -> None:
    """Make what is not there yet of so many objects, rounded up to whole parts.

    Raises:
        InputError: the folder holds parts made of another pool or seed.
        OutputError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stamp = f"{seed} {_fingerprint(pool)}"
    parts = -(-n_objects // OBJECTS)
    for part in range(parts):
        path = _path(folder, part)
        if path.exists():
            _read(path, stamp)
            continue
        _write(path, stamp, _part(pool, np.random.default_rng((seed, part))))
        progress(Progress("images and captions", (part + 1) * OBJECTS, parts * OBJECTS))


def read_image_text(folder: Path) -> ImageText:
    """All parts that are there.

    Raises:
        InputError: there is none, or one is damaged.
    """
    paths = sorted(folder.glob("part-*.safetensors"))
    if not paths:
        raise InputError(f"{folder}: expected features of images and texts, found none")
    parts = [_read(path) for path in paths]
    return ImageText(
        images=np.concatenate([part.images for part in parts]),
        texts=np.concatenate([part.texts for part in parts]),
        index=np.concatenate([part.index for part in parts]),
        captions=[texts for part in parts for texts in part.captions],
        color=[name for part in parts for name in part.color],
        kind=[name for part in parts for name in part.kind],
    )


def _path(folder: Path, part: int) -> Path:
    return folder / f"part-{part:05d}.safetensors"


def _fingerprint(pool: Pool) -> str:
    return f"{len(pool)} {zlib.crc32(np.ascontiguousarray(pool.points[::53, ::101]).tobytes()):08x}"


def _write(path: Path, stamp: str, made: ImageText) -> None:
    words = {"stamp": stamp, "captions": made.captions, "color": made.color, "kind": made.kind}
    arrays: dict[str, NDArray[Any]] = {"images": made.images, "texts": made.texts, "index": made.index}
    with replacing_name(path, what="features", errors=(SafetensorError,)) as temporary:
        save_file(arrays, str(temporary), metadata={_HEADER: json.dumps(words)})


def _read(path: Path, stamp: str | None = None) -> ImageText:
    try:
        with safe_open(str(path), "numpy") as file:
            words: dict[str, Any] = json.loads((file.metadata() or {})[_HEADER])
            arrays = {name: file.get_tensor(name) for name in ("images", "texts", "index")}
        made = ImageText(**arrays, captions=words["captions"], color=words["color"], kind=words["kind"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected features of images and texts, found {error!r}") from error
    if stamp is not None and words["stamp"] != stamp:
        raise InputError(f"{path}: expected features made of this pool and seed, found others")
    return made


def _part(pool: Pool, rng: np.random.Generator) -> ImageText:
    real = np.array([i for i in range(len(pool)) if pool.model(i) is not None])
    families: dict[str, list[int]] = {}
    for i, name in enumerate(pool.family):
        if name in FAMILIES:
            families.setdefault(name, []).append(i)
    images: list[NDArray[np.uint8]] = []
    index, captions, color, kind = [], [], [], []
    for _ in range(OBJECTS):
        if len(real) and (not families or rng.random() < REAL):
            i = int(rng.choice(real))
        else:
            i = int(rng.choice(families[str(rng.choice(list(families)))]))
        shown, appearance, what = _images(pool, i, rng)
        images += list(shown)
        index.append(i)
        captions.append([appearance.caption(rng) for _ in range(CAPTIONS)])
        color.append(appearance.color or "")
        kind.append(what)
    cpu = torch.device("cpu")
    features = image_features(image_encoder(cpu).encode(images)).numpy().astype(np.float16)
    return ImageText(
        features.reshape(OBJECTS, VIEWS, -1), text_features(captions), np.array(index), captions, color, kind
    )  # fmt: skip


def text_features(captions: list[list[str]]) -> NDArray[np.float16]:
    """(n, CAPTIONS, 384); each different text is encoded once."""
    texts = sorted({text for row in captions for text in row}, key=lambda text: (len(text), text))
    encoder = text_encoder(torch.device("cpu"))
    pooled = torch.cat([encoder.encode(texts[i : i + 32])[0] for i in range(0, len(texts), 32)])
    place = {text: i for i, text in enumerate(texts)}
    return pooled.numpy().astype(np.float16)[np.array([[place[text] for text in row] for row in captions])]


def _images(pool: Pool, index: int, rng: np.random.Generator) -> tuple[Images, Appearance, str]:
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
    if rng.random() >= DEGRADED:
        return render_cloud(cloud, config), appearance, "cloud"
    return render_cloud(degraded(cloud, rng), config), appearance, "degraded cloud"


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


def degraded(cloud: PointCloud, rng: np.random.Generator) -> PointCloud:
    """The cloud as a network might have drawn it: thinned, displaced, discolored, with stray points."""
    keep = rng.random(len(cloud.points)) < rng.uniform(0.4, 1)
    keep[:256] = True  # they lie in random order
    points = cloud.points[keep] + rng.normal(0, 0.025 * rng.random(), (int(keep.sum()), 3))
    stray = rng.random(len(points)) < rng.uniform(0, 0.03)
    points[stray] += rng.normal(0, 0.08, (int(stray.sum()), 3))
    colors = cloud.colors[keep] + rng.normal(0, 0.12 * rng.random(), points.shape) + rng.normal(0, 0.03, 3)
    return PointCloud(points.astype(np.float32), colors.clip(0, 1).astype(np.float32))


def names_color(text: str, color: str) -> bool:
    """Whether a text has a word for the color."""
    return any(f" {word} " in f" {text.replace(',', ' ')} " for word in (color, *SYNONYMS.get(color, ())))
