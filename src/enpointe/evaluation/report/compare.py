"""Two runs side by side: each value of single samples, paired by prompt and seed, and what else was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from enpointe.core.errors import InputError
from enpointe.evaluation.metrics import ordered, values
from enpointe.evaluation.report.report import RESULTS
from enpointe.evaluation.runner.results import FORMAT, VERSION
from enpointe.evaluation.score import Better, Quantity, Row, Shown, mean_interval

MAX_RESULTS = 256 << 20
FLIPS = 10_000
EXACT = 13
"""Differences up to which all assignments of signs are looked at, in place of FLIPS random ones."""

_ACCOUNTS = ("note", "quality", "dtype")
"""What describes a tool, besides which one it is."""

Pair = tuple[str, int | None]


@dataclass(frozen=True)
class Paired:
    """A value of samples of two runs, over the pairs of prompt and seed where both have it.

    Attributes:
        name, title, better, shown: see `Quantity`.
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
    better: Better
    shown: Shown
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
    ours, theirs = by_pair(a), by_pair(b)
    common = [pair for pair in ours if pair in theirs]
    if not common:
        raise InputError(
            f"compare: expected two runs with prompts and seeds in common, found {len(ours)} and {len(theirs)} "
            "different ones with none in both"
        )
    paired = []
    for name, quantity in values().items():
        pairs = [(ours[pair].get(name), theirs[pair].get(name)) for pair in common]
        both = np.array([(float(x), float(y)) for x, y in pairs if x is not None and y is not None], np.float64)
        if len(both):
            paired.append(_paired(quantity, both, seed))
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


def by_pair(run: Mapping[str, Any]) -> dict[Pair, Row]:
    """A run's samples whose prompts are known."""
    return {(row["prompt"], row.get("seed")): row for row in run["samples"] if row.get("prompt") is not None}


def _paired(quantity: Quantity, both: NDArray[np.float64], seed: int) -> Paired:
    differences = both[:, 1] - both[:, 0]
    low, high = mean_interval(differences, seed)
    good = differences if quantity.better == "higher" else -differences
    return Paired(
        quantity.name, quantity.title, quantity.better, quantity.shown, len(both), float(both[:, 0].mean()),
        float(both[:, 1].mean()), float(differences.mean()), low, high, sign_flip_p(differences, seed),
        int((good > 0).sum()), int((good < 0).sum()),
    )  # fmt: skip


def _scores(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Scores that both have, of all their samples."""
    theirs = {one["name"]: one for one in b["scores"]}
    return [{"name": one["name"], "a": one, "b": theirs[one["name"]]} for one in a["scores"] if one["name"] in theirs]


def _all_settings(run: Mapping[str, Any]) -> dict[str, Any]:
    return {**run["settings"], **{kind: _identity(tool) for kind, tool in run["tools"].items()}}


def _identity(tool: Mapping[str, Any]) -> dict[str, Any]:
    """What a run's tool differs from others in."""
    return {key: value for key, value in tool.items() if key not in _ACCOUNTS}


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, "a": a.get(name), "b": b.get(name)} for name in sorted({*a, *b}) if a.get(name) != b.get(name)
    ]


def _costs(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    def of(run: Mapping[str, Any]) -> dict[str, float | None]:
        cost = run["cost"]
        stages = cost.get("seconds_per_cloud") or {}
        return {
            "seconds of a cloud": round(sum(stages.values()), 3) if stages else None,
            "evaluations": run["settings"].get("sampling", {}).get("evaluations"),
            "peak memory in MB": cost.get("peak_memory_mb"),
        }

    ours, theirs = of(a), of(b)
    return [{"name": name, "a": ours[name], "b": theirs[name]} for name in ours]


def _notes(a: Mapping[str, Any], b: Mapping[str, Any], common: int, in_a: int, in_b: int) -> list[str]:
    notes = []
    if common < max(in_a, in_b):
        notes.append(f"{common} pairs of prompt and seed are in both; A has {in_a}, B {in_b}")
    one, two = a["tools"], b["tools"]
    for kind in one.keys() & two.keys() - {"reference"}:
        if _identity(one[kind]) != _identity(two[kind]):
            titles = [metric.scores[0].title for metric in ordered().values() if kind in metric.needs]
            notes.append(f"{', '.join(titles)} by different {kind}s cannot be compared")
    if "reference" in one and "reference" in two:
        ours, theirs = one["reference"], two["reference"]
        if (ours["kind"], ours["place"]) != (theirs["kind"], theirs["place"]):
            notes.append("the two have different references: scores against them cannot be compared")
        elif ours["clouds"] != theirs["clouds"]:
            notes.append(f"P-FID against {ours['clouds']} and {theirs['clouds']} reference clouds cannot be compared")
    notes.append("p is of each value alone; among several, one below 5 % is found by chance more often than that")
    return notes
