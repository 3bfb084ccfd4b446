"""R-Precision as papers report it, and when it may stand beside what was measured here."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from enpointe.evaluation.measures.r_precision import plain_text, text_pool

PROMPTS = 153
"""Captions of COCO images of one object each, collected for Dream Fields (arXiv 2112.01455, section 5.1); Point-E's
table is of the same."""

_COLUMNS = {"vit-b-32": 0, "vit-l-14": 1}
_TABLE: tuple[tuple[str, tuple[float, float]], ...] = (
    ("Dream Fields", (78.6, 82.9)),
    ("CLIP-Mesh", (67.8, 74.5)),
    ("DreamFusion", (75.1, 79.7)),
    ("Point-E 40M, text only", (15.4, 16.2)),
    ("Point-E 40M", (36.5, 38.8)),
    ("Point-E 300M", (40.3, 45.6)),
    ("Point-E 1B", (41.1, 46.8)),
    ("the images that Point-E was given", (69.6, 86.6)),
)
"""Point-E, arXiv 2212.08751, section 5: R@1 in per cent through CLIP ViT-B/32 and ViT-L/14."""

CAVEAT = (
    "published R@1 (Point-E, arXiv 2212.08751), measured through the same encoder; that the prompts are the same is "
    "the user's statement, and the papers' renders were others than these"
)


@dataclass(frozen=True)
class PublishedContext:
    """Published numbers to show beside a run's, or why there are none.

    Attributes:
        rows: method and its R@1 from 0 to 1; empty where they may not be shown.
        why_not: the reason, None where there are rows.
        caveat: to be shown with the rows.
        prompts_sha256: of the run's set of prompts, whatever their order and spelling of case: two runs with the
            same one had the same prompts.
    """

    rows: tuple[tuple[str, float], ...]
    why_not: str | None
    caveat: str
    prompts_sha256: str


def published_context(encoder: str, pool: Sequence[str], *, stated: bool) -> PublishedContext:
    """What may be shown beside R-Precision through `encoder` among the captions `pool`.

    The papers' captions are not part of this package, so that nothing here can tell them from others. What can be
    checked is: the encoder, and that there are 153 different ones; for the rest the user answers.

    Args:
        stated: the user says that the pool is Dream Fields' captions, and that samples of all were scored.

    Raises:
        InputError: no captions, or a blank one.
    """
    texts = text_pool(pool).texts
    why_not = _why_not(encoder, len(texts), stated=stated)
    rows = () if why_not else tuple((method, scores[_COLUMNS[encoder]] / 100) for method, scores in _TABLE)
    return PublishedContext(rows, why_not, CAVEAT, prompts_sha256(texts))


def prompts_sha256(texts: Sequence[str]) -> str:
    """Of the set of texts, as `plain_text` compares them."""
    plain = sorted({plain_text(text) for text in texts})
    return hashlib.sha256("\n".join(plain).encode()).hexdigest()


def _why_not(encoder: str, texts: int, *, stated: bool) -> str | None:
    if encoder not in _COLUMNS:
        return (
            f"not comparable with published R-Precision, which is of CLIP ViT-B/32 and ViT-L/14: this is through "
            f"the encoder {encoder!r}"
        )
    if texts != PROMPTS:
        return (
            f"not comparable with published R-Precision, which is of {PROMPTS} captions of COCO images: these are "
            f"{texts} prompts, and the fewer there are the easier it is"
        )
    if not stated:
        return (
            f"not compared with published R-Precision: nothing says that these {texts} prompts are the captions "
            "collected for Dream Fields, which the published numbers are of"
        )
    return None
