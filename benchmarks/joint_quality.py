"""What the embedded joint model makes of objects that it has not seen: retrieval, nouns and colors.

Three sets, each shown as a cloud of 4,096 points, as one of 1,024 and as a mesh:

- "seen pairs": fresh procedural objects in colors that training gave to their family;
- "held-out pairs": in colors that it never gave to it;
- "real": the KayKit models that are held out.

A picture is to find its own caption ("a red car") among all captions of a pool, with the pool's size told: each
view by itself, and the mean of all views' vectors. Chance is 1 in the pool's size. "raw features" is what the frozen
encoders can do with nothing learned between them but nearest neighbors: the text that is closest, for MiniLM,
to the captions of the most similar pictures among those trained on (--features). "linear" is a ridge regression from
the picture's features to MiniLM's vectors, fitted to the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.common import Report, Row, arguments
from enpointe.checkpoints.embedded import embedded_path, image_encoder, read_network, text_encoder
from enpointe.data.asset_clouds import sample_model
from enpointe.data.assets import Asset
from enpointe.data.captions import draw_paint, with_article
from enpointe.data.held_out import held_out
from enpointe.data.pools import pool
from enpointe.data.pools.models import RealModel
from enpointe.data.procedural.colors import PAINT
from enpointe.data.procedural.families import FAMILIES
from enpointe.data.procedural.family import Family
from enpointe.data.procedural.sampling import sample_surface
from enpointe.data.sources.kaykit import KayKit
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.io.assets.model import sample_colors
from enpointe.nn.efficientnet import image_features
from enpointe.nn.joint import JointHeads
from enpointe.render.software.perspective import RenderConfig, render_cloud, render_mesh
from enpointe.training.image_text import fresh_mesh, read_image_text
from enpointe.training.tasks.pocket_joint import HELD_OUT

CPU = torch.device("cpu")
SHOWN = ("cloud of 4,096", "cloud of 1,024", "mesh")
CONFIG = RenderConfig(views=4)
NEIGHBOURS = 5
POOL = 200
"""Captions that a procedural object's own is to be found among."""


@dataclass
class Set:
    """n objects, how they look and what they are."""

    name: str
    captions: list[str]
    """Each object's own."""
    pool: list[str]
    """All different; each object's own is among them."""
    families: list[str]
    """Of procedural objects."""
    colours: list[str]
    features: dict[str, Tensor]
    """By how they are shown: (n, views, f)."""


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--kaykit", type=Path, help="folder of the KayKit packs; without it there are no real models")
    parser.add_argument(
        "--features", type=Path, help="a run's folder image_text, for the two baselines; needs --data, its pool"
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--weights", type=Path, default=embedded_path("joint"))
    parser.add_argument("--objects", type=int, default=160, help="of each procedural set, captions all different")
    parser.add_argument("--cache", type=Path, help="where the pictures' features are kept between runs")
    parser.add_argument("--summary", type=Path, help="a JSON file for `enpointe.training.embed --quality`")
    options = parser.parse_args()
    torch.set_num_threads(options.cores)
    report = Report("joint_quality", options)
    sets = cached_sets(12 if options.quick else options.objects, options.kaykit, options.cache)
    heads, _ = read_network(options.weights, JointHeads)
    baselines = {} if options.features is None else fit(options.features, options.data)
    rows = retrieval(sets, heads, baselines)
    report.table("retrieval of the own caption", rows)
    words = nouns_and_colours(sets, heads)
    report.table("nouns among all families, colours among all paints", words)
    if options.summary is not None:
        options.summary.write_text(json.dumps(summary(rows, words), indent=1))
    report.save()


def cached_sets(n: int, kaykit_folder: Path | None, cache: Path | None) -> list[Set]:
    """All sets, from the cache if there is one."""
    if cache is not None and cache.exists():
        return [Set(**stored) for stored in torch.load(cache, weights_only=True)]
    sets = [procedural(n, new_pairs=False), procedural(n, new_pairs=True)]
    if kaykit_folder is not None:
        sets.append(real(KayKit().open(kaykit_folder)))
    if cache is not None:
        torch.save([vars(one) for one in sets], cache)
    return sets


def procedural(n: int, *, new_pairs: bool) -> Set:
    """Fresh objects, the families in turn, no two of one noun and color."""
    rng = np.random.default_rng((2026, new_pairs))
    captions: list[str] = []
    families, colours, pictures = [], [], []
    for turn in range(20):
        for family in FAMILIES.values():
            paint = draw_paint(family, rng)
            main = family.slots[0].name
            new = [colour for colour in PAINT if held_out(family.name, colour)]
            if new_pairs:
                if turn >= len(new):
                    continue
                paint[main] = new[turn]
            text = with_article(f"{paint[main]} {family.names[0]}")
            if text in captions or len(captions) == n:
                continue
            captions.append(text)
            families.append(family.name)
            colours.append(paint[main])
            pictures.append(features_of(*object_of(family, paint, int(rng.integers(2**31)))))
    others = [with_article(f"{paint} {family.names[0]}") for family in FAMILIES.values() for paint in PAINT]
    rng.shuffle(others)
    texts = list(dict.fromkeys([*captions, *others]))[: max(POOL, len(captions))]
    return Set(f"{'held-out' if new_pairs else 'seen'} pairs", captions, texts, families, colours, stack(pictures))


def object_of(family: Family, paint: dict[str, str], seed: int) -> tuple[PointCloud, Mesh]:
    """One object as a cloud and as a mesh."""
    mesh, appearance = fresh_mesh(family, np.random.default_rng(seed), paint)
    assembly = family.assemble(np.random.default_rng(seed))
    surface = sample_surface(assembly, 4096, np.random.default_rng(seed + 1))
    slots = [slot.name for slot in family.slots]
    worn = np.array([slots.index(part.slot) for part in assembly.parts])
    return PointCloud(surface.points.astype(np.float32), appearance.rgb[worn[surface.part]]), mesh


def real(assets: Sequence[Asset]) -> Set:
    """The held-out models; the pool holds the closest nouns of all."""
    captions, pictures = [], []
    for asset in assets:
        if not RealModel(asset.key, asset.nouns, np.zeros((1, 3), np.float32), "", "", "").held_out:
            continue
        model = asset.load()
        cloud = sample_model(model, 4096, np.random.default_rng(0))
        normal = model.normalized()
        corners = np.eye(3)
        faces = np.arange(3 * len(normal.triangles)).reshape(-1, 3)
        # A little inside of each corner: a swatch's neighbor is another color.
        colors = [
            sample_colors(normal, np.arange(len(faces)), np.tile(corner * 0.9 + 0.1 / 3, (len(faces), 1)))
            for corner in corners
        ]
        vertices = normal.triangles.reshape(-1, 3).astype(np.float32)
        mesh = Mesh(vertices, faces, np.stack(colors, axis=1).reshape(-1, 3).astype(np.float32))
        captions.append(with_article(asset.nouns[0]))
        pictures.append(features_of(PointCloud(cloud.points, cloud.colors.clip(0, 1)), mesh))
    texts = sorted({with_article(asset.nouns[0]) for asset in assets})
    return Set("real", captions, texts, [], [], stack(pictures))


def features_of(cloud: PointCloud, mesh: Mesh) -> list[Tensor]:
    """(views, f) for each of SHOWN."""
    few = PointCloud(cloud.points[:1024], cloud.colors[:1024])
    shown = (render_cloud(cloud, CONFIG), render_cloud(few, CONFIG), render_mesh(mesh, CONFIG))
    features = image_features(image_encoder(CPU).encode([picture for some in shown for picture in some]))
    return list(features.clone().view(len(SHOWN), CONFIG.views, -1))


def stack(pictures: Sequence[Sequence[Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([each[i] for each in pictures]) for i, name in enumerate(SHOWN)}


def texts_of(texts: Sequence[str]) -> Tensor:
    """MiniLM's vectors (n, 384)."""
    encoder = text_encoder(CPU)
    return torch.cat([encoder.encode(texts[i : i + 64])[0] for i in range(0, len(texts), 64)])


@dataclass
class Baselines:
    """Of the objects that were trained on: features (n, f), standardized; texts (n, 384); ridge weights (f, 384)."""

    middle: Tensor
    spread: Tensor
    unit: Tensor
    texts: Tensor
    ridge: Tensor

    def nearest(self, features: Tensor) -> Tensor:
        """The mean text of the most similar pictures."""
        x = F.normalize((features - self.middle) / self.spread, dim=-1)
        best = (x @ self.unit.T).topk(NEIGHBOURS, dim=-1).indices
        return F.normalize(self.texts[best].mean(-2), dim=-1)

    def linear(self, features: Tensor) -> Tensor:
        return F.normalize((features - self.middle) / self.spread @ self.ridge + self.texts.mean(0), dim=-1)


def fit(folder: Path, data: Path) -> dict[str, Baselines]:
    """To what the heads learned from, nothing that is held out."""
    made = read_image_text(folder)
    learned = ~np.isin(made.index, pool.read(data).split(HELD_OUT)[1])
    x = torch.from_numpy(made.images[learned, 0]).float()
    texts = torch.from_numpy(made.texts[learned]).float().mean(1)
    middle, spread = x.mean(0), x.std(0).clamp_min(1e-3)
    x = (x - middle) / spread
    gram = x.T @ x + 0.3 * len(x) * torch.eye(x.shape[1])
    ridge = torch.linalg.solve(gram, x.T @ (texts - texts.mean(0)))
    return {"": Baselines(middle, spread, F.normalize(x, dim=-1), texts, ridge)}


def retrieval(sets: Sequence[Set], heads: JointHeads, baselines: dict[str, Baselines]) -> list[Row]:
    rows: list[Row] = []
    for one in sets:
        raw = texts_of(one.pool)
        truth = torch.tensor([one.pool.index(text) for text in one.captions])
        for shown, features in one.features.items():
            ways = {"joint": (heads.pictures(features.flatten(0, 1)).view(*features.shape[:2], -1), heads.texts(raw))}
            for base in baselines.values():
                ways["raw features"] = (base.nearest(features), raw)
                ways["linear"] = (base.linear(features), raw)
            for way, (pictures, texts) in ways.items():
                single = found(pictures.flatten(0, 1), texts, truth.repeat_interleave(features.shape[1]))
                every = found(pictures.mean(1), texts, truth)
                rows.append(
                    {
                        "set": one.name, "shown as": shown, "by": way, "objects": len(truth), "pool": len(one.pool),
                        "R@1, 1 view": single[0], "R@5, 1 view": single[1],
                        f"R@1, {CONFIG.views} views": every[0], f"R@5, {CONFIG.views} views": every[1],
                    }
                )  # fmt: skip
    return rows


def found(pictures: Tensor, texts: Tensor, truth: Tensor) -> tuple[float, float]:
    """How often the own text is the first, and among the first five."""
    scores = pictures @ texts.T
    rank = (scores > scores.gather(1, truth[:, None])).sum(1)
    return float((rank < 1).float().mean()), float((rank < 5).float().mean())


def nouns_and_colours(sets: Sequence[Set], heads: JointHeads) -> list[Row]:
    """Of procedural objects, all views together: the noun, and given the noun, the color."""
    names = list(FAMILIES)
    nouns = heads.texts(texts_of([with_article(FAMILIES[name].names[0]) for name in names]))
    rows: list[Row] = []
    for one in sets:
        if not one.families:
            continue
        options = [[with_article(f"{paint} {FAMILIES[name].names[0]}") for paint in PAINT] for name in one.families]
        painted = heads.texts(texts_of([text for row in options for text in row])).view(len(options), len(PAINT), -1)
        for shown, features in one.features.items():
            pictures = F.normalize(heads.pictures(features.flatten(0, 1)).view(*features.shape[:2], -1).mean(1), dim=-1)
            noun = (pictures @ nouns.T).argmax(1)
            colour = torch.einsum("nd,nkd->nk", pictures, painted).argmax(1)
            named = [names[i] == name for i, name in zip(noun.tolist(), one.families, strict=True)]
            of_paint = [i for i, name in enumerate(one.colours) if name in PAINT]
            rows.append(
                {
                    "set": one.name, "shown as": shown, "nouns": len(names),
                    "noun right": share(named),
                    "colours": len(PAINT),
                    "colour right": share([PAINT[int(colour[i])] == one.colours[i] for i in of_paint]),
                }
            )  # fmt: skip
    return rows


def share(right: Sequence[bool]) -> float:
    return float(np.mean(right))


def summary(rows: Sequence[Row], words: Sequence[Row]) -> dict[str, object]:
    """What a weight file says of its quality."""
    rounded = [{key: round(v, 3) if isinstance(v, float) else v for key, v in row.items()} for row in (*rows, *words)]
    retrieved, said = rounded[: len(rows)], rounded[len(rows) :]
    return {"measured on": "held-out objects", "views": CONFIG.views, "retrieval": retrieved, "words": said}


if __name__ == "__main__":
    with torch.inference_mode():
        main()
