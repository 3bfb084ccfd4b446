"""What the embedded family knows, and what of a prompt it ignores."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from torch import Tensor

from enpointe.encoders.minilm import MAX_TOKENS, TextEncoder
from enpointe.pipelines.families.pocket.things import Thing

NEAR = 0.57
"""Cosine of sentence vectors from which a known noun is worth naming beside an unknown one: "a van" is as near to a
car (0.58), "a teapot" to a mug (0.59); "a sword" is nearest to an apple (0.55) and has no neighbor."""
SHOWN = 3
"""Neighbors that are named at most."""


@dataclass(frozen=True)
class Vocabulary:
    """The things that a model was trained on.

    Attributes:
        encoder: of sentences, whose vectors say what is near.
        things: of which a prompt should name one.
        model: the model's name, for messages.
    """

    encoder: TextEncoder
    things: tuple[Thing, ...]
    model: str = "pocket"

    def warnings(self, prompt: str) -> list[str]:
        """What of a prompt the model ignores, one line each; none for a prompt that it was trained on.

        Covers a noun that it does not know, counts, relations between objects, materials and parts that its captions
        never had, and words beyond what the encoder reads.
        """
        tokens = _tokens(prompt)
        length = self.encoder.n_tokens(prompt)
        found = self._find(tokens)
        lines = [self._unknown_noun(prompt, tokens)] if found is None else self._details(tokens, found)
        if length > MAX_TOKENS:
            lines.append(f"the prompt has {length} tokens; only the first {MAX_TOKENS} are read")
        return lines

    def names_a_thing(self, prompt: str) -> bool:
        """Whether a known noun or its plural stands in the prompt, in words of its own, as the head of a phrase.

        It does not where it only says of what kind the next noun is: "car" in "a car park", "a car-shaped cake" and
        "a car's owner". What follows a head is the end, a mark, one of a few small words, a form of a verb or a color.
        """
        return self.named(prompt) is not None

    def named(self, prompt: str) -> Thing | None:
        """The thing that a prompt names, if it does, see `names_a_thing`."""
        found = self._find(_tokens(prompt))
        return None if found is None else found.thing

    def nearest(self, prompt: str, n: int) -> list[tuple[str, float]]:
        """The n things that are nearest to a prompt, each by its usual noun, with the cosine of its nearest name."""
        pooled, _, _ = self.encoder.encode([prompt])
        cosines = (self._vectors @ pooled[0]).tolist()
        best: dict[str, float] = {}
        for (thing, _), cosine in zip(self._names, cosines, strict=True):
            best[thing.name] = max(cosine, best.get(thing.name, -1.0))
        return sorted(best.items(), key=lambda pair: -pair[1])[:n]

    @cached_property
    def _names(self) -> list[tuple[Thing, str]]:
        return [(thing, name) for thing in self.things for name in thing.names]

    @cached_property
    def _vectors(self) -> Tensor:
        """The names' pooled text vectors (n, width), of unit length."""
        return self.encoder.encode([f"a {name}" for _, name in self._names])[0]

    @cached_property
    def _forms(self) -> dict[str, tuple[Thing, bool]]:
        """Every name and its plurals, as `_tokens` has them: which thing, and whether it is a plural."""
        things: dict[str, Thing] = {}  # by name: a boat may be a sailboat or a rowing boat
        for thing, name in self._names:
            things[name] = things[name].joined(thing) if name in things else thing
        forms = {_plain(form): (thing, True) for name, thing in things.items() for form in plurals(name)}
        return forms | {_plain(name): (thing, False) for name, thing in things.items()}

    def _find(self, tokens: list[str]) -> _Found | None:
        """The first thing that heads a phrase."""
        return next(self._heads(tokens), None)

    def _heads(self, tokens: list[str]) -> Iterator[_Found]:
        longest = max((form.count(" ") for form in self._forms), default=0) + 1
        for i in range(len(tokens)):
            for n in range(longest, 0, -1):
                form = " ".join(token.rstrip("-") for token in tokens[i : i + n])
                if form in self._forms and _ends_a_phrase(tokens[i:], n):
                    yield _Found(*self._forms[form], i, i + n)
                    break

    def _unknown_noun(self, prompt: str, tokens: list[str]) -> str:
        near = [name for name, cosine in self.nearest(prompt, SHOWN) if cosine >= NEAR]
        misspelled = self._misspelled(tokens)
        if misspelled:
            hint = f"did you mean {' or '.join(misspelled)}?"
        elif near:
            hint = f"the nearest that it knows: {', '.join(near)}"
        else:
            hint = f"nothing that it knows is near ('enpointe models show {self.model}' lists it)"
        return (
            f"the {self.model} model does not know this, expect a shapeless result; {hint}; "
            "a released model (such as base40M-textvec) has an open vocabulary"
        )

    def _misspelled(self, tokens: list[str]) -> list[str]:
        """Known names that differ from a word of the prompt by a slip or two."""
        names = [name for _, name in self._names if " " not in name]
        # A word that the encoder has whole is a word of its own: "horse" is no slip for "house".
        words = [token for token in tokens if len(token) > 3 and len(self.encoder.tokenizer.encode(token).ids) > 3]
        close = [difflib.get_close_matches(word, names, n=1, cutoff=0.8) for word in words]
        return list(dict.fromkeys(match[0] for match in close if match))

    def _details(self, tokens: list[str], found: _Found) -> list[str]:
        """Lines about counts, relations, materials and parts of a prompt that names a thing."""
        thing, lines = found.thing, []
        before, after = tokens[: found.start], _without(tokens[found.stop :], thing.phrases)
        if found.plural or any(token in _COUNTS or token.isdigit() for token in before):
            lines.append(f"the {self.model} model draws a single object; the count is ignored")
        features = next((i for i, token in enumerate(after) if token in _FEATURES), len(after))
        others = [head for head in self._heads(after[:features]) if not _is_material(after, head)]
        beside = any(_relates(word, then) for word, then in pairwise(after[:features]))
        if beside or others:
            lines.append(
                f"the {self.model} model draws a single object, here the {thing.name}; other objects are ignored"
            )
        named = tokens[: found.start] + tokens[found.stop :]
        materials = [t for t in named if t in _MATERIALS and not {t, _MATERIALS[t]}.intersection(thing.materials)]
        if materials:
            lines.append(self._untrained("material", materials, thing, thing.materials))
        parts = _unknown_parts(after[features + 1 :], thing)
        if parts:
            known = dict.fromkeys((*(phrase.removeprefix("with ") for phrase in thing.phrases), *thing.parts))
            lines.append(self._untrained("part", parts, thing, known))
        return lines

    def _untrained(self, kind: str, found: list[str], thing: Thing, known: Iterable[str]) -> str:
        plural = "" if len(found) == 1 else "s"
        these = ", ".join(known)
        return (
            f"the {self.model} model was not trained on the {kind}{plural} {', '.join(found)} of a {thing.name}; "
            f"it knows {these if these else f'no {kind}s of it'}"
        )


@dataclass(frozen=True)
class _Found:
    """Where a thing's name stands in a prompt."""

    thing: Thing
    plural: bool
    start: int
    stop: int


def _tokens(prompt: str) -> list[str]:
    return _TOKEN.findall(_SHADE.sub(" ", prompt.lower()))


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z]+", text))


def _ends_a_phrase(tokens: list[str], n: int) -> bool:
    """Whether the n-th word is a phrase's last but for words about the whole."""
    if len(tokens) <= n:
        return True
    after = tokens[n].rstrip("-")
    if tokens[n - 1].endswith("-") or after in _POSSESSIVE:
        return False
    return not after.isalpha() or after in _SMALL_WORDS or after in _COLORS or after.endswith(("ing", "ed"))


def _without(tokens: list[str], phrases: Iterable[str]) -> list[str]:
    """The words without where captions have put the thing: the pot of "a cactus in a pot" is no other object."""
    text = " ".join(tokens)
    for phrase in phrases:
        if phrase.split()[0] in _FEATURES:  # what follows it are parts
            continue
        text = re.sub(rf"\b{re.escape(phrase)}\b", "", text)
    return text.split()


def _is_material(tokens: list[str], head: _Found) -> bool:
    """Whether what could be a thing is what another one is made of: "of glass"."""
    return head.start > 0 and tokens[head.start] in _MATERIALS and tokens[head.start - 1] in ("of", "in", "from")


def _relates(word: str, then: str) -> bool:
    """Whether a word and the next one lead to another object: "on a", "next to", "and a", but not "in red"."""
    return (word in _RELATIONS and then not in _COLORS) or (word == "and" and then in ("a", "an", "the"))


def _unknown_parts(features: list[str], thing: Thing) -> list[str]:
    """The nouns among what follows "with" or "without" that no caption had for this thing."""
    known = {
        form for text in (*thing.parts, *thing.phrases) for word in _plain(text).split() for form in _numbers(word)
    }
    unknown = []
    for segment in re.split(r"[,;.]| and ", " ".join(features)):
        words = [word for word in re.findall(r"[a-z]+", segment) if word not in _SMALL_WORDS]
        if words and not set(_numbers(words[-1])) & known and words[-1] not in _COLORS:
            unknown.append(words[-1])
    return list(dict.fromkeys(unknown))


def _numbers(word: str) -> tuple[str, ...]:
    """A word with its other number, roughly: "wheel" and "wheels"."""
    return (word, word[:-1]) if word.endswith("s") else (word, word + "s")


_TOKEN = re.compile(r"[a-z]+-(?=[a-z])|[a-z]+|[0-9]+|[^a-z0-9\s]")
"""A word, with the hyphen that ties it to the next one, a number, or a mark."""

_FEATURES = ("with", "without", "has", "having")
"""What leads to parts of the object."""

_POSSESSIVE = ("'", "\u2019")

_COLORS = frozenset((
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey", "gray",
    "turquoise", "beige", "gold", "golden", "silver", "wooden", "metal", "stone", "brick", "light", "dark", "bright",
    "crimson", "scarlet", "violet", "cyan", "teal", "navy", "lime", "maroon", "cream",
))  # fmt: skip

_SMALL_WORDS = frozenset((
    "about", "above", "across", "against", "along", "among", "and", "around", "as", "at", "before", "behind",
    "below", "beneath", "beside", "between", "but", "by", "facing", "for", "from", "full", "has", "have",
    "having", "in", "inside", "into", "is", "are", "it", "its", "like", "made", "near", "next", "of", "off",
    "on", "onto", "or", "out", "outside", "over", "stuck", "that", "the", "this", "through", "to", "together",
    "toward", "towards", "under", "up", "upside", "upon", "was", "were", "wearing", "which", "while", "who",
    "with", "without", "a", "an", "my", "her", "his", "our", "their", "your", "all", "alone", "down", "here",
    "there", "very", "not", "no", "drives", "flies", "holds", "lies", "plays", "rides", "runs",
    "sits", "stands", "walks", "wears",
))  # fmt: skip
"""Words that may follow the noun that a prompt is about."""

_COUNTS = frozenset((
    "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "dozen", "pair", "several", "many", "some",
    "few", "both", "hundred", "group", "row", "pile", "stack", "bunch",
))  # fmt: skip

_RELATIONS = frozenset((
    "on", "onto", "under", "beneath", "below", "above", "over", "beside", "behind", "inside", "in", "near", "next",
    "between", "against", "around", "among", "at", "holding", "carrying", "riding", "facing", "beyond", "wearing",
))  # fmt: skip

_MATERIALS = {
    "glass": "glass", "plastic": "plastic", "leather": "leather", "marble": "marble", "ceramic": "ceramic",
    "porcelain": "ceramic", "rubber": "rubber", "paper": "paper", "cardboard": "paper", "fabric": "fabric",
    "cloth": "fabric", "concrete": "concrete", "crystal": "crystal", "ice": "ice", "clay": "clay", "wool": "wool",
    "chrome": "metal", "copper": "metal", "bronze": "metal", "aluminum": "metal", "aluminium": "metal",
    "steel": "metal", "iron": "metal", "metal": "metal", "metallic": "metal", "wood": "wooden", "wooden": "wooden",
    "stone": "stone", "brick": "brick", "bamboo": "bamboo", "lego": "lego", "gingerbread": "gingerbread",
    "transparent": "transparent", "shiny": "shiny",
}  # fmt: skip
"""Words for materials, each with the one that captions would have had for it."""

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
