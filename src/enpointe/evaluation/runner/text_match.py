"""R-Precision of gathered samples: which of the prompts their pictures look like most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from enpointe.evaluation.encoders import PictureTextEncoder, load_encoder
from enpointe.evaluation.measures.r_precision import RPrecision, TextPool, r_precision, text_pool
from enpointe.evaluation.photographs import Photographer
from enpointe.evaluation.runner.gather import Gathered
from enpointe.evaluation.values import Row, Score
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud

Shape = Literal["cloud", "mesh"]


class TextMatch:
    """An encoder of texts and pictures, and who takes pictures for it.

    Args:
        of: "mesh" for pictures of meshes, where a sample has one.
    """

    def __init__(self, encoder: PictureTextEncoder, photographer: Photographer, of: Shape = "cloud") -> None:
        self.encoder, self.photographer, self.of = encoder, photographer, of

    def features_of(self, cloud: PointCloud, mesh: Mesh | None) -> NDArray[np.float32]:
        """(views, d) of pictures of the cloud, or of its mesh; RenderError if these cannot be taken."""
        if self.of == "mesh" and mesh is not None:
            pictures = self.photographer.of_mesh(mesh)
        else:
            pictures = self.photographer.of_cloud(cloud)
        return self.encoder.encode_pictures(list(pictures))

    def about(self) -> dict[str, Any]:
        """What a report has to say of encoder and renderer."""
        encoder, photographer = self.encoder, self.photographer
        return {
            "encoder": {"name": encoder.name, "note": encoder.note, "quality": dict(encoder.quality)},
            "renderer": {
                "name": photographer.name, "note": photographer.note, "quality": {}, "pictures_of": self.of,
                "renders": asdict(photographer.config),
            },
        }  # fmt: skip


def load_text_match(choice: str, device: str, photographer: Photographer, of: Shape = "cloud") -> TextMatch:
    """See `load_encoder`, also for errors."""
    return TextMatch(load_encoder(choice, device), photographer, of)


def measure_text_match(
    match: TextMatch, samples: Gathered, texts: Sequence[str], rows: list[Row], seed: int
) -> list[Score] | str:
    """R@1, R@5 and CLIP score of the samples whose prompts are known; each sample's own go into its row.

    Args:
        texts: the pool; prompts of the samples that are not in it are added.
    """
    if not samples.pictures:
        return "no picture could be taken" if any(samples.prompts) else "no sample's prompt is known"
    chosen = list(samples.pictures)
    pool = text_pool([*texts, *(samples.prompts[i] or "" for i in chosen)])
    if len(pool.texts) < 2:
        return "all samples are of one prompt: there is no other to tell it from"
    pictures = np.stack(list(samples.pictures.values()))
    found = r_precision(pictures, match.encoder.encode_texts(pool.texts), pool.index[len(texts) :], seed=seed)
    for i, one in zip(chosen, found.per_sample, strict=True):
        rows[i] |= {"rank": one.rank, "r_at_1": one.right, "clip_score": one.score}
        if one.rival is not None and one.rank > 1:
            rows[i]["rival"] = pool.texts[one.rival]
    return _scores(match, found, pool)


def _scores(match: TextMatch, found: RPrecision, pool: TextPool) -> list[Score]:
    through = f"through {match.encoder.name}"
    among = f"{found.views} views a sample, among {found.pool} prompts; by chance"
    score = "CLIP score" if match.encoder.name.startswith("vit") else "Text match"
    by_chance = f"{min(1, 5 * found.chance):.1%} by chance"
    what = {
        "r_at_1": f"share of pictures that go best with their own prompt, {through}; {among} {found.chance:.1%}",
        "r_at_5": f"share of pictures with their own prompt among the best five; {by_chance}",
        "clip_score": f"mean cosine of pictures with their own prompt, times 100, {through}",
    }
    titles = {"r_at_1": "R-Precision", "r_at_5": "R-Precision at 5", "clip_score": score}
    made = []
    for key, name in (("r_at_1", "r_precision"), ("r_at_5", "r_precision_at_5"), ("clip_score", "clip_score")):
        interval = found.intervals[key]
        low, high = (None, None) if interval is None else (interval.low, interval.high)
        shown: Literal["share", "number"] = "number" if key == "clip_score" else "share"
        note = None if key == "clip_score" else found.note
        made.append(Score(name, titles[key], getattr(found, key), "higher", what[key], low, high, shown, note))
    return made
