"""The prompts of an evaluation, from a file or a fixed list, and the noun and color of a plain one."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from enpointe.core.errors import InputError
from enpointe.core.prompt import check_prompt
from enpointe.data.captions import with_article
from enpointe.data.held_out import held_out
from enpointe.data.procedural.colors import COLORS, SYNONYMS
from enpointe.data.procedural.families import FAMILIES
from enpointe.evaluation.text import count

MAX_FILE = 64 << 20
"""Bytes of a file of prompts."""

_EMBEDDED: dict[str, tuple[str, ...]] = {
    "car": ("red", "blue", "light green"), "truck": ("yellow", "white"),
    "motorcycle": ("red", "blue", "pink"), "bicycle": ("green", "black", "turquoise"),
    "sailboat": ("white", "red"), "aeroplane": ("white", "blue", "dark red"),
    "rocket": ("silver", "orange", "beige"), "guitar": ("brown", "black", "red"),
    "chair": ("wooden", "blue", "red"), "armchair": ("green", "purple"),
    "table": ("wooden", "white", "orange"), "lamp": ("yellow", "green", "turquoise"),
    "mug": ("white", "yellow", "black"), "bottle": ("green", "blue", "pink"),
    "hammer": ("brown", "red", "beige"), "tree": ("green", "orange", "blue"),
    "mushroom": ("red", "brown"), "apple": ("red", "green", "purple"),
    "house": ("white", "yellow", "green"), "castle": ("grey", "stone", "blue"),
    "dog": ("brown", "black", "dark red"), "elephant": ("grey", "pink", "golden"),
    "person": ("red", "blue", "green"), "robot": ("silver", "blue", "purple"),
}  # fmt: skip
"""Things and their colors: two that training captions put together, and one that they never do, where there is one.
The list stays as it is, so that runs of different versions can be compared."""


@dataclass(frozen=True)
class Prompt:
    """A text; `seed` is None where the run's counts."""

    text: str
    seed: int | None = None


@dataclass(frozen=True)
class PromptList:
    """Prompts, where they come from, and notes on how they were read."""

    prompts: tuple[Prompt, ...]
    source: str
    notes: tuple[str, ...] = ()

    @property
    def pool(self) -> tuple[str, ...]:
        """The different texts, in their order: the pool of R-Precision."""
        return tuple(dict.fromkeys(prompt.text for prompt in self.prompts))

    def first(self, n: int | None, seed: int) -> list[tuple[str, int]]:
        """The first n pairs of text and seed; beyond the list's end its prompts come again with the next seeds.

        Args:
            n: None for every prompt once.
            seed: of the first round, for prompts without one of their own.
        """
        pairs: dict[tuple[str, int], None] = {}
        wanted = len(self.prompts) if n is None else n
        for turn in itertools.count():
            for prompt in self.prompts:
                pairs[prompt.text, (seed if prompt.seed is None else prompt.seed) + turn] = None
                if len(pairs) == wanted:
                    return list(pairs)
        raise AssertionError("unreachable")


@dataclass(frozen=True)
class Subject:
    """The noun of a plain prompt such as "a red car", a procedural family's, and its color."""

    noun: str
    color: str | None

    @property
    def seen(self) -> bool:
        """Whether training captions may put the color on the noun."""
        return self.color is None or not held_out(self.noun, self.color)


def embedded_prompts() -> PromptList:
    """The fixed list: two seen colors and a held-out one of each of 24 things, in an order of which any beginning
    is a mixture of all."""
    found: list[Prompt] = []
    for turn in range(3):
        for i, (noun, colors) in enumerate(_EMBEDDED.items()):
            if turn < len(colors):
                found.append(Prompt(with_article(f"{colors[(i + turn) % len(colors)]} {noun}")))
    return PromptList(tuple(found), "embedded list")


def read_prompts(path: Path) -> PromptList:
    """Prompts from a file: a text with one a line, or JSON lines with "prompt" and, if wished, "seed".

    Blank lines are left out, a prompt that comes again (with the same seed) is taken once, and both are noted.

    Raises:
        InputError: no such file, one that is too large or no text, no prompt in it, or a line that is none (named).
    """
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= MAX_FILE else b""
    except OSError as error:
        raise InputError(f"{path}: expected a file of prompts, found: {error.strerror or error}") from None
    if size > MAX_FILE:
        raise InputError(f"{path}: expected a file of prompts of at most {MAX_FILE >> 20} MB, found {size >> 20} MB")
    try:
        # Not splitlines: prompts may hold the other characters that end a line.
        lines = data.decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected prompts in UTF-8, found {error}") from None
    if lines[-1] == "":
        lines.pop()
    read = _json_prompt if path.suffix.lower() in (".jsonl", ".ndjson") else _text_prompt
    found: list[Prompt] = []
    blank = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            blank += 1
            continue
        try:
            found.append(read(line))
        except InputError as error:
            raise InputError(f"{path}, line {number}: {error}") from None
    if not found:
        raise InputError(f"{path}: expected at least one prompt, found {f'{blank} blank lines' if blank else 'none'}")
    distinct = tuple(dict.fromkeys(found))
    notes = []
    if blank:
        notes.append(f"{path.name}: {count(blank, 'blank line')} left out")
    if len(distinct) < len(found):
        notes.append(f"{path.name}: {count(len(found) - len(distinct), 'repeated prompt')} taken once")
    return PromptList(distinct, path.name, tuple(notes))


def subject_of(text: str) -> Subject | None:
    """The noun and color of a prompt of the form "a COLOR NOUN" or "a NOUN"; None for any other.

    Synonyms stand for the family's and the color's own words.
    """
    colors, nouns = _vocabulary()
    words = re.sub(r"^(an?|the) ", "", text.strip().lower())
    if words in nouns:
        return Subject(nouns[words], None)
    for spelling, name in colors.items():
        if words.startswith(f"{spelling} ") and words[len(spelling) + 1 :] in nouns:
            return Subject(nouns[words[len(spelling) + 1 :]], name)
    return None


@cache
def _vocabulary() -> tuple[dict[str, str], dict[str, str]]:
    """Spelling -> color, longer spellings first, and spelling -> family."""
    colors = {name: name for name in COLORS} | {word: name for name, words in SYNONYMS.items() for word in words}
    nouns = {word: family.name for family in FAMILIES.values() for word in family.names}
    nouns |= {family.name: family.name for family in FAMILIES.values()}
    return dict(sorted(colors.items(), key=lambda item: (-len(item[0]), item[0]))), nouns


def _text_prompt(line: str) -> Prompt:
    return Prompt(check_prompt(line))


def _json_prompt(line: str) -> Prompt:
    try:
        found: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"expected JSON, found {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("prompt"), str):
        raise InputError(f"expected an object with a text 'prompt', found {line[:80]!r}")
    seed = found.get("seed")
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**53):
        raise InputError(f"expected a whole number from 0 below 2**53 as 'seed', found {seed!r}")
    return Prompt(check_prompt(found["prompt"]), seed)


def texts_of(prompts: Sequence[str | None]) -> list[str]:
    """The different texts among these, in their order."""
    return list(dict.fromkeys(text for text in prompts if text is not None))
