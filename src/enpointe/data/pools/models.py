"""A real model in a pool: its attribution, the colors of a draw, and its captions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.data.captions import color_word, with_article
from enpointe.data.held_out import without_held_out
from enpointe.data.procedural.colors import COLORS, PAINT, shade
from enpointe.data.splits import is_held_out
from enpointe.data.swatches import dominant, repainted

REPAINTED = 0.4
"""How often a model is painted anew."""
DOMINANT = 0.5
"""Only a hue that covers this share of the points may be painted: less does not make a thing blue."""
LONGEST = 8
"""Words of a noun phrase."""
_COLOR_WORD = re.compile(rf"\b({'|'.join(COLORS)})\b")


@dataclass(frozen=True)
class RealModel:
    """What a pool remembers of a model beside its points.

    Attributes:
        key: unique and lasting; it decides whether the model is held out.
        nouns: words for it without an article, the closest first; also whole sentences.
        colors: (m, 3) sRGB in [0, 1], its own swatches, the commonest first; see `swatches`.
        licence, creator, source: the attribution.
        shares: (m,) of the points that each swatch covers; without them it is never painted.
    """

    key: str
    nouns: tuple[str, ...]
    colors: NDArray[np.float32]
    licence: str
    creator: str
    source: str
    shares: tuple[float, ...] = ()

    @property
    def noun(self) -> str:
        """The closest noun, without colors."""
        return " ".join(_COLOR_WORD.sub(" ", self.nouns[0]).split()) or self.nouns[0]

    @property
    def held_out(self) -> bool:
        """See `splits.is_held_out`."""
        return is_held_out(self.key)

    def draw_colors(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], str | None]:
        """Colors (m, 3) of the swatches for one draw, and the paint of the commonest hue, None for its own.

        Now and then all swatches of the commonest hue are painted, darker and lighter as they were.
        """
        paints = _paints(self._paintable)
        if not self._dominant or not paints or rng.random() >= REPAINTED:
            return self.colors, None
        paint = paints[int(rng.integers(len(paints)))]
        color = np.array(shade(paint, rng), np.float32)
        return repainted(self.colors, self._dominant, np.array(self.shares), color), paint

    def caption(self, paint: str | None, rng: np.random.Generator) -> str:
        """A caption: it names the thing, and its paint if it was painted."""
        return model_caption(self._words if paint is None else self._paintable, paint, rng)

    @cached_property
    def _dominant(self) -> tuple[int, ...]:
        """The swatches of the commonest hue, none where it covers too little."""
        shares = np.array(self.shares)
        chosen = dominant(self.colors, shares) if self.shares else ()
        return chosen if shares[list(chosen)].sum() >= DOMINANT else ()

    @cached_property
    def _words(self) -> tuple[str, ...]:
        """Its nouns, without pairs of color and noun that are held out."""
        return tuple(map(without_held_out, self.nouns))

    @cached_property
    def _paintable(self) -> tuple[str, ...]:
        """Words that hold in any paint: a stool that is painted blue is no longer "a blue wooden stool"."""
        return tuple(noun for noun in self.nouns if is_phrase(noun) and not _COLOR_WORD.search(noun))

    def header(self) -> dict[str, Any]:
        """As JSON can hold it."""
        colors, shares = self.colors.astype(np.float64).round(4).tolist(), np.round(self.shares, 4).tolist()
        return {**asdict(self), "colors": colors, "shares": shares}

    @staticmethod
    def of_header(header: Mapping[str, Any]) -> RealModel:
        """What `header` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        colors = np.array(header["colors"], dtype=np.float32)
        if colors.ndim != 2 or colors.shape[1] != 3 or not ((colors >= 0) & (colors <= 1)).all():
            raise ValueError(f"expected colors (m, 3) in [0, 1] of a model, found shape {colors.shape}")
        key, licence, creator, source = (header[name] for name in ("key", "licence", "creator", "source"))
        nouns = tuple(header["nouns"])
        if not nouns or not all(isinstance(word, str) for word in (key, licence, creator, source, *nouns)):
            raise ValueError("expected the name, nouns and attribution of a model as texts")
        shares = tuple(map(float, header["shares"]))
        if len(shares) != len(colors) or not all(0 <= share <= 1 for share in shares):
            raise ValueError(f"expected {len(colors)} shares in [0, 1] of a model's colors, found {shares}")
        return RealModel(key, nouns, colors, licence, creator, source, shares)


def noun_weights(models: Sequence[RealModel]) -> NDArray[np.float64]:
    """How often to draw each of n >= 1 models, with mean 1: a noun in proportion to the root of its models' number.

    Among fifty houses and two bears a bear comes a fifth as often as a house, not a twenty-fifth.
    """
    count = Counter(model.noun for model in models)
    weights = np.array([count[model.noun] ** -0.5 for model in models])
    return weights / weights.mean()


def model_caption(nouns: Sequence[str], color: str | None, rng: np.random.Generator) -> str:
    """ "a crate of carrots" or "a blue crate": six times in ten the closest noun, otherwise another one."""
    first = len(nouns) == 1 or rng.random() < 0.6
    noun = nouns[0] if first else nouns[1 + int(rng.integers(len(nouns) - 1))]
    phrase = noun if color is None else f"{color_word(color, rng)} {noun}"
    return with_article(phrase) if rng.random() < 0.8 and is_phrase(noun) and not is_plural(noun) else phrase


def is_phrase(noun: str) -> bool:
    """Whether it names a thing in a few words; other captions are said as they are."""
    return len(noun.split()) <= LONGEST


def is_plural(noun: str) -> bool:
    """ "slices of cheese", "stairs"; but not "crate of onions", "cactus", "glass"."""
    head = re.split(r" (?:of|with|under|on|in|lying) ", noun)[0]
    return head.endswith("s") and not head.endswith(("ss", "us", "is"))


@lru_cache(maxsize=4096)
def _paints(nouns: tuple[str, ...]) -> tuple[str, ...]:
    """Colors that a model of these nouns may be painted: none that is held out for one of them."""

    def allowed(color: str) -> bool:
        return all(without_held_out(painted) == painted for painted in (f"{color} {noun}" for noun in nouns))

    return tuple(color for color in PAINT if nouns and allowed(color))
