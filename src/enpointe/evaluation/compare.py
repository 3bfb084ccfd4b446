"""Two runs side by side: each value of single samples, paired by prompt and seed, and what else was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from enpointe.errors import InputError
from enpointe.evaluation import page
from enpointe.evaluation.evaluate import FORMAT, VERSION
from enpointe.evaluation.generated import SAMPLES, GeneratedSamples, write_json
from enpointe.evaluation.report import RESULTS, card, flat
from enpointe.evaluation.samples import SampleSet
from enpointe.evaluation.values import PER_SAMPLE, Row, mean_interval

PAGE, DIFFERENCES = "compare.html", "compare.json"
MAX_RESULTS = 256 << 20
FLIPS = 10_000
EXACT = 13
"""Differences up to which all assignments of signs are looked at, in place of FLIPS random ones."""
SHOWN = 24
"""Pairs that are shown with pictures: those that differ most."""

_TOLD_BY = {
    "classifier": ("name", "sha256"), "encoder": ("name", "sha256"), "renderer": ("name", "pictures_of", "renders"),
}  # fmt: skip
"""What a run's tool is told from another by."""
_HANG_ON = {
    "classifier": "P-FID, P-IS and names by different classifiers",
    "encoder": "R-Precision by different encoders",
    "renderer": "R-Precision of pictures taken in different ways",
}

Pair = tuple[str, int | None]


@dataclass(frozen=True)
class Paired:
    """A value of samples of two runs, over the pairs of prompt and seed where both have it.

    Attributes:
        name, title, better, shown: as in `values.PER_SAMPLE`.
        n: pairs.
        a, b: means.
        difference: mean of b less a.
        low, high: of its 95 % interval (bootstrap over pairs); None for a single pair.
        p: how often a difference as large comes about when the two runs' names are exchanged at random in every
            pair: two-sided, above 0.
        wins, losses: pairs in which b is better, and worse.
    """

    name: str
    title: str
    better: Literal["lower", "higher"]
    shown: Literal["number", "share"]
    n: int
    a: float
    b: float
    difference: float
    low: float | None
    high: float | None
    p: float
    wins: int
    losses: int

    @property
    def verdict(self) -> str:
        """In words, at a level of 5 %."""
        if self.p > 0.05:
            return "no difference shown"
        return "B is better" if (self.difference > 0) == (self.better == "higher") else "A is better"


def sign_flip_p(differences: ArrayLike, seed: int = 0) -> float:
    """The two-sided p-value of paired differences (n,) under random signs (Fisher's permutation test).

    Exact for up to EXACT differences that are not zero; otherwise (hits + 1) / (FLIPS + 1) of as many random draws.
    """
    values = np.asarray(differences, np.float64)
    values = values[values != 0]  # of no sign, and the sum stays as it is
    if not len(values):
        return 1.0
    found = abs(values.sum()) * (1 - 1e-12)  # of all signs equal is one the observed one itself, up to rounding
    if len(values) <= EXACT:
        signs = 1 - 2 * ((np.arange(2 ** len(values))[:, None] >> np.arange(len(values))) & 1)
        return float((np.abs(signs @ values) >= found).mean())
    rng = np.random.default_rng(seed)
    hits = sum(
        int((np.abs((1 - 2 * rng.integers(2, size=(size, len(values)))) @ values) >= found).sum())
        for size in [100] * (FLIPS // 100)
    )
    return (hits + 1) / (FLIPS + 1)


def read_run(place: str) -> dict[str, Any]:
    """A run's results: its folder, or the file itself.

    Raises:
        InputError: there is none, or of another version.
    """
    path = Path(place)
    path = path / RESULTS if path.is_dir() else path
    try:
        if path.stat().st_size > MAX_RESULTS:
            raise InputError(f"{path}: expected results of at most {MAX_RESULTS >> 20} MB")
        run = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: expected the results of a run, found: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected the results of a run, found: {error}") from None
    if not isinstance(run, dict) or run.get("format") != FORMAT or not isinstance(run.get("samples"), list):
        raise InputError(f"{path}: expected the results of 'enpointe evaluate', found another file")
    if run.get("version") != VERSION:
        raise InputError(f"{path}: expected results of version {VERSION}, found {run.get('version')!r}")
    return run


def compare(a: Mapping[str, Any], b: Mapping[str, Any], seed: int = 0) -> dict[str, Any]:
    """What two runs differ in.

    Returns:
        As JSON can hold it: "pairs", "paired" (see `Paired`), "scores" of both, "settings" that differ, "costs",
        and "notes".

    Raises:
        InputError: they have no pair of prompt and seed in common.
    """
    ours, theirs = _by_pair(a), _by_pair(b)
    common = [pair for pair in ours if pair in theirs]
    if not common:
        raise InputError(
            f"compare: expected two runs with prompts and seeds in common, found {len(ours)} and {len(theirs)} "
            "different ones with none in both"
        )
    paired = []
    for name, (title, better, shown) in PER_SAMPLE.items():
        values = [(ours[pair].get(name), theirs[pair].get(name)) for pair in common]
        both = np.array([(float(x), float(y)) for x, y in values if x is not None and y is not None], np.float64)
        if len(both):
            paired.append(_paired(name, title, better, shown, both, seed))
    return {
        "format": f"{FORMAT}-compare",
        "version": VERSION,
        "a": a["title"],
        "b": b["title"],
        "pairs": len(common),
        "paired": [{**asdict(one), "verdict": one.verdict} for one in paired],
        "scores": _scores(a, b),
        "settings": _differing(_all_settings(a), _all_settings(b)),
        "costs": _costs(a, b),
        "notes": _notes(a, b, len(common), len(ours), len(theirs)),
    }


def _by_pair(run: Mapping[str, Any]) -> dict[Pair, Row]:
    return {(row["prompt"], row.get("seed")): row for row in run["samples"] if row.get("prompt") is not None}


def _paired(
    name: str,
    title: str,
    better: Literal["lower", "higher"],
    shown: Literal["number", "share"],
    both: np.ndarray[Any, np.dtype[np.float64]],
    seed: int,
) -> Paired:
    differences = both[:, 1] - both[:, 0]
    low, high = mean_interval(differences, seed)
    good = differences if better == "higher" else -differences
    return Paired(
        name, title, better, shown, len(both), float(both[:, 0].mean()), float(both[:, 1].mean()),
        float(differences.mean()), low, high, sign_flip_p(differences, seed),
        int((good > 0).sum()), int((good < 0).sum()),
    )  # fmt: skip


def _scores(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Scores that both have, of all their samples."""
    theirs = {one["name"]: one for one in b["scores"]}
    return [{"name": one["name"], "a": one, "b": theirs[one["name"]]} for one in a["scores"] if one["name"] in theirs]


def _all_settings(run: Mapping[str, Any]) -> dict[str, Any]:
    tools = run.get("tools", {})
    names = {kind: {key: tools[kind].get(key) for key in keys} for kind, keys in _TOLD_BY.items() if kind in tools}
    return {**run.get("settings", {}), **names, "reference": tools.get("reference")}


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, "a": a.get(name), "b": b.get(name)} for name in sorted({*a, *b}) if a.get(name) != b.get(name)
    ]


def _costs(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    def of(run: Mapping[str, Any]) -> dict[str, float | None]:
        cost = run.get("cost", {})
        stages = cost.get("seconds_per_cloud") or {}
        return {
            "seconds of a cloud": round(sum(stages.values()), 3) if stages else None,
            "evaluations": run.get("settings", {}).get("drawn_with", {}).get("evaluations"),
            "peak memory in MB": cost.get("peak_memory_mb"),
        }

    ours, theirs = of(a), of(b)
    return [{"name": name, "a": ours[name], "b": theirs[name]} for name in ours]


def _notes(a: Mapping[str, Any], b: Mapping[str, Any], common: int, ours: int, theirs: int) -> list[str]:
    notes = []
    if common < max(ours, theirs):
        notes.append(f"{common} pairs of prompt and seed are in both; A has {ours}, B {theirs}")
    ours_with, theirs_with = a.get("tools", {}), b.get("tools", {})
    for kind, what in _HANG_ON.items():
        used = [tools[kind] for tools in (ours_with, theirs_with) if kind in tools]
        if len(used) == 2 and any(used[0].get(key) != used[1].get(key) for key in _TOLD_BY[kind]):
            notes.append(f"{what} cannot be compared")
    one, two = ours_with.get("reference"), theirs_with.get("reference")
    if one and two and (one["kind"], one["place"]) != (two["kind"], two["place"]):
        notes.append("the two were held against different references: distances and P-FID cannot be compared")
    elif one and two and one["clouds"] != two["clouds"]:
        notes.append(f"P-FID against {one['clouds']} and {two['clouds']} true clouds cannot be compared")
    notes.append("p is of each value alone; among several, one below 5 % is found by chance more often than that")
    return notes


def save_comparison(
    a: Mapping[str, Any],
    b: Mapping[str, Any],
    folder: Path,
    samples: tuple[SampleSet | None, SampleSet | None] = (None, None),
    seed: int = 0,
) -> dict[str, Any]:
    """Write compare.html and compare.json into a folder; returns what the latter holds.

    Args:
        samples: of both, for pictures, where they are at hand.

    Raises:
        InputError: as `compare`. OutputError: a file cannot be written.
    """
    found = compare(a, b, seed)
    write_json(folder / DIFFERENCES, found)
    pictures, pairs = _pairs(a, b, samples)
    text = [{"name": name, "text": True} for name in ("setting", "A", "B")]
    blocks = [
        page.table("Paired: same prompt, same seed", [
            {"name": "value", "text": True}, {"name": "pairs"}, {"name": "A"}, {"name": "B"}, {"name": "B less A"},
            {"name": "95 % interval"}, {"name": "p"}, {"name": "B better"}, {"name": "A better"},
            {"name": "", "text": True},
        ], [_row(one) for one in found["paired"]],
            "Means over the pairs; p by flipping the differences' signs at random."),
        page.notes("To be minded", found["notes"]),
        page.table("All samples of each", [
            {"name": "score", "text": True}, {"name": "A"}, {"name": "interval"}, {"name": "B"}, {"name": "interval"},
            {"name": "", "text": True},
        ], [[one["a"]["title"], *_value(one["a"]), *_value(one["b"]), _BETTER[one["a"]["better"]]]
            for one in found["scores"]]),
        page.table("Cost", [{"name": "", "text": True}, {"name": "A"}, {"name": "B"}],
                   [[one["name"], one["a"], one["b"]] for one in found["costs"]]),
        page.table("Settings that differ", text, [[one["name"], flat(one["a"]), flat(one["b"])]
                                                  for one in found["settings"]]),
        page.cards("Pairs that differ most", pairs, "A and B in turn, each from its front and its back."),
    ]  # fmt: skip
    subtitle = f"A: {a['title']} · B: {b['title']} · {found['pairs']} pairs of prompt and seed"
    page.save_page(folder / PAGE, "A beside B", subtitle, blocks, pictures)
    return found


_BETTER = {"lower": "lower is better", "higher": "higher is better", "half": "best at 50 %"}


def _shown(value: float | None, shown: str, sign: bool = False) -> str:
    if value is None:
        return "-"
    plus = "+" if sign else ""
    return f"{value:{plus}.1%}" if shown == "share" else f"{value:{plus}.3g}"


def _row(one: Mapping[str, Any]) -> list[Any]:
    shown = one["shown"]
    span = f"{_shown(one['low'], shown, True)} to {_shown(one['high'], shown, True)}"
    return [
        f"{one['title']} ({_BETTER[one['better']]})", one["n"], _shown(one["a"], shown), _shown(one["b"], shown),
        _shown(one["difference"], shown, True), span, f"{one['p']:.2g}", one["wins"], one["losses"], one["verdict"],
    ]  # fmt: skip


def _value(score: Mapping[str, Any]) -> tuple[str, str]:
    shown = score["shown"]
    low, high = score.get("low"), score.get("high")
    span = "-" if low is None else f"{_shown(low, shown)} to {_shown(high, shown)}"
    return _shown(score["value"], shown), span


def _pairs(
    a: Mapping[str, Any], b: Mapping[str, Any], samples: tuple[SampleSet | None, SampleSet | None]
) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Pictures and cards of the pairs whose values differ most, A's and B's next to each other."""
    ours, theirs = _by_pair(a), _by_pair(b)
    common = [pair for pair in ours if pair in theirs]
    order = sorted(common, key=lambda pair: -_distance(ours[pair], theirs[pair]))[:SHOWN]
    pictures: dict[str, str] = {}
    items = []
    for side, rows, one in (("A", ours, samples[0]), ("B", theirs, samples[1])):
        if one is not None:
            wanted = {str(rows[pair]["name"]) for pair in order}
            pictures |= {f"{side}/{sample.name}": page.picture(sample.cloud) for sample in one.pick(wanted)}
    for pair in order:
        for side, rows in (("A", ours), ("B", theirs)):
            row = {**rows[pair], "name": f"{side}/{rows[pair]['name']}"}
            item = card(row, pictures)
            items.append({**item, "title": f"{side}: {item['title']}"})
    return pictures, items


def _distance(a: Row, b: Row) -> float:
    """How much two samples' values differ, in shares of the larger of each."""
    total = 0.0
    for name in PER_SAMPLE:
        if a.get(name) is not None and b.get(name) is not None:
            x, y = float(a[name]), float(b[name])
            total += abs(x - y) / max(abs(x), abs(y), 1e-9)
    return total


def samples_beside(run: Mapping[str, Any], place: str) -> SampleSet | None:
    """The clouds that a run keeps in its folder; None where it made none."""
    path = Path(place)
    folder = path if path.is_dir() else path.parent
    if run.get("kind") != "model" or not (folder / SAMPLES).is_dir():
        return None
    pairs: Sequence[tuple[str, int]] = [(row["prompt"], row["seed"]) for row in run["samples"] if row.get("prompt")]
    return GeneratedSamples(folder, pairs)
