"""What the embedded family knows, and how far a prompt is from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from enpointe.encoders.minilm import MAX_TOKENS, TextEncoder

FAR = 0.62
"""Cosine below which a prompt that holds no known noun is far from all of them: "a puppy" would be
near, "a van" (0.58) and "a dragon" (0.54) are far."""


@dataclass(frozen=True)
class Vocabulary:
    """The nouns that a model was trained on."""

    encoder: TextEncoder
    nouns: tuple[str, ...]

    @cached_property
    def vectors(self) -> Tensor:
        """The nouns' pooled text vectors (n, width), of unit length."""
        return self.encoder.encode([f"a {noun}" for noun in self.nouns])[0]

    @cached_property
    def _forms(self) -> frozenset[str]:
        """Every noun, and its plurals, as `_words` has them."""
        return frozenset(" ".join(_words(form)) for noun in self.nouns for form in (noun, *plurals(noun)))

    def nearest(self, prompt: str, n: int = 3) -> list[tuple[str, float]]:
        """The n nearest nouns and their cosines, nearest first."""
        pooled, _, _ = self.encoder.encode([prompt])
        cosines = (self.vectors @ pooled[0]).cpu()
        best = torch.topk(cosines, n)
        return [(self.nouns[i], float(c)) for c, i in zip(best.values, best.indices.tolist(), strict=True)]

    def warnings(self, prompt: str) -> list[str]:
        """One line if the prompt is far from all that the model knows, and one if it is cut; else none."""
        lines = []
        nearest = [] if self.names_a_noun(prompt) else self.nearest(prompt)
        if nearest and nearest[0][1] < FAR:
            lines.append(
                f"the pocket model was not trained on this; the nearest that it knows: "
                f"{', '.join(noun for noun, _ in nearest)}; for open vocabulary use a released model (base40M-textvec)"
            )
        length = self.encoder.n_tokens(prompt)
        if length > MAX_TOKENS:
            lines.append(f"the prompt has {length} tokens; only the first {MAX_TOKENS} are read")
        return lines

    def names_a_noun(self, prompt: str) -> bool:
        """Whether a known noun or its plural stands in the prompt, in words of its own, as the head of a phrase.

        It does not where it only says of what kind the next noun is: "car" in "a car park", "a car-shaped cake" and
        "a car's owner". What follows a head is the end, a mark, one of a few small words, a form of a verb or a colour.
        """
        tokens = _TOKEN.findall(_SHADE.sub(" ", prompt.lower()))
        longest = max(form.count(" ") for form in self._forms) + 1
        return any(
            " ".join(token.rstrip("-") for token in tokens[i : i + n]) in self._forms and _ends_a_phrase(tokens[i:], n)
            for i in range(len(tokens))
            for n in range(1, longest + 1)
        )


def _ends_a_phrase(tokens: list[str], n: int) -> bool:
    """Whether the n-th word is a phrase's last but for what is said of the whole."""
    if len(tokens) <= n:
        return True
    after = tokens[n].rstrip("-")
    if tokens[n - 1].endswith("-") or after in _POSSESSIVE:
        return False
    return not after.isalpha() or after in _AFTER_A_HEAD or after.endswith(("ing", "ed"))


_TOKEN = re.compile(r"[a-z]+-(?=[a-z])|[a-z]+|[^a-z\s]")
"""A word, with the hyphen that ties it to the next one, or a mark."""

_POSSESSIVE = ("'", "\u2019")

_AFTER_A_HEAD = frozenset((
    "about", "above", "across", "against", "along", "among", "and", "around", "as", "at", "before", "behind",
    "below", "beneath", "beside", "between", "but", "by", "facing", "for", "from", "full", "has", "have",
    "having", "in", "inside", "into", "is", "are", "it", "its", "like", "made", "near", "next", "of", "off",
    "on", "onto", "or", "out", "outside", "over", "stuck", "that", "the", "this", "through", "to", "together",
    "toward", "towards", "under", "up", "upside", "upon", "was", "were", "wearing", "which", "while", "who",
    "with", "without", "a", "an", "my", "her", "his", "our", "their", "your", "all", "alone", "down", "here",
    "there", "very", "not", "no", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown",
    "black", "white", "grey", "gray", "turquoise", "beige", "gold", "golden", "silver", "wooden", "metal",
    "stone", "brick", "light", "dark", "bright", "drives", "flies", "holds", "lies", "plays", "rides", "runs",
    "sits", "stands", "walks", "wears",
))  # fmt: skip
"""Words that may follow the noun that a prompt is about."""

_SHADE = re.compile(r"\blight[ -](?=(?:red|orange|yellow|green|blue|purple|pink|brown|gr[ae]y|white)\b)")
"""Where "light" is no lamp."""

_IRREGULAR = {"man": "men", "person": "people", "cactus": "cacti"}


def plurals(noun: str) -> tuple[str, ...]:
    """How more than one of it may be called; forms that nobody uses do no harm."""
    before, _, last = noun.rpartition(" ")
    forms = [last + "s", last + "es"]
    if last.endswith("y"):
        forms.append(last[:-1] + "ies")
    if last.endswith(("f", "fe")):
        forms.append(last.rstrip("e")[:-1] + "ves")
    forms += [last[: -len(one)] + many for one, many in _IRREGULAR.items() if last.endswith(one)]
    return tuple(f"{before} {form}".strip() for form in forms)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text)
