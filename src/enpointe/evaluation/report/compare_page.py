"""Two runs side by side as an HTML page, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from enpointe.evaluation.blocks import cards, notes, table
from enpointe.evaluation.files import write_json
from enpointe.evaluation.metrics import values
from enpointe.evaluation.report.compare import by_pair, compare
from enpointe.evaluation.report.page import cloud_image, save_page
from enpointe.evaluation.report.report import BETTER, card, flat
from enpointe.evaluation.samples.generated import SAMPLES, GeneratedSamples
from enpointe.evaluation.samples.sample import SampleSet
from enpointe.evaluation.score import Row

PAGE, DIFFERENCES = "compare.html", "compare.json"
SHOWN = 24
"""Pairs that are shown with images: those that differ most."""


def save_comparison(
    a: Mapping[str, Any],
    b: Mapping[str, Any],
    folder: Path,
    samples: tuple[SampleSet | None, SampleSet | None] = (None, None),
    seed: int = 0,
) -> dict[str, Any]:
    """Write compare.html and compare.json into a folder; returns what the latter holds.

    Args:
        samples: of both, for images, where they are at hand.

    Raises:
        InputError: as `compare`. OutputError: a file cannot be written.
    """
    found = compare(a, b, seed)
    write_json(folder / DIFFERENCES, found)
    images, pairs = _pairs(a, b, samples)
    text = [{"name": name, "text": True} for name in ("setting", "A", "B")]
    blocks = [
        table("Paired: same prompt, same seed", [
            {"name": "value", "text": True}, {"name": "pairs"}, {"name": "A"}, {"name": "B"}, {"name": "B less A"},
            {"name": "95 % interval"}, {"name": "p"}, {"name": "B better"}, {"name": "A better"},
            {"name": "", "text": True},
        ], [_row(one) for one in found["paired"]],
            "Means over the pairs; p by flipping the differences' signs at random."),
        notes("Notes", found["notes"]),
        table("All samples of each", [
            {"name": "score", "text": True}, {"name": "A"}, {"name": "interval"}, {"name": "B"}, {"name": "interval"},
            {"name": "", "text": True},
        ], [[one["a"]["title"], *_value(one["a"]), *_value(one["b"]), BETTER[one["a"]["better"]]]
            for one in found["scores"]]),
        table("Cost", [{"name": "", "text": True}, {"name": "A"}, {"name": "B"}],
                   [[one["name"], one["a"], one["b"]] for one in found["costs"]]),
        table("Settings that differ", text, [[one["name"], flat(one["a"]), flat(one["b"])]
                                                  for one in found["settings"]]),
        cards("Pairs that differ most", pairs, "A and B in turn, each from its front and its back."),
    ]  # fmt: skip
    subtitle = f"A: {a['title']} · B: {b['title']} · {found['pairs']} pairs of prompt and seed"
    save_page(folder / PAGE, "A beside B", subtitle, blocks, images)
    return found


def _shown(value: float | None, shown: str, sign: bool = False) -> str:
    if value is None:
        return "-"
    plus = "+" if sign else ""
    return f"{value:{plus}.1%}" if shown == "share" else f"{value:{plus}.3g}"


def _row(one: Mapping[str, Any]) -> list[Any]:
    shown = one["shown"]
    span = f"{_shown(one['low'], shown, True)} to {_shown(one['high'], shown, True)}"
    return [
        f"{one['title']} ({BETTER[one['better']]})", one["n"], _shown(one["a"], shown), _shown(one["b"], shown),
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
    """Images and cards of the pairs whose values differ most, A's and B's next to each other."""
    ours, theirs = by_pair(a), by_pair(b)
    common = [pair for pair in ours if pair in theirs]
    order = sorted(common, key=lambda pair: -_distance(ours[pair], theirs[pair]))[:SHOWN]
    images: dict[str, str] = {}
    items = []
    for side, rows, one in (("A", ours, samples[0]), ("B", theirs, samples[1])):
        if one is not None:
            wanted = {str(rows[pair]["name"]) for pair in order}
            images |= {f"{side}/{sample.name}": cloud_image(sample.cloud) for sample in one.pick(wanted)}
    for pair in order:
        for side, rows in (("A", ours), ("B", theirs)):
            row = {**rows[pair], "name": f"{side}/{rows[pair]['name']}"}
            item = card(row, images)
            items.append({**item, "title": f"{side}: {item['title']}"})
    return images, items


def _distance(a: Row, b: Row) -> float:
    """How much two samples' values differ, in shares of the larger of each."""
    total = 0.0
    for name in values():
        if a.get(name) is not None and b.get(name) is not None:
            x, y = float(a[name]), float(b[name])
            total += abs(x - y) / max(abs(x), abs(y), 1e-9)
    return total


def samples_beside(run: Mapping[str, Any], place: str) -> SampleSet | None:
    """The clouds that a run keeps in its folder; None where it generated none."""
    path = Path(place)
    folder = path if path.is_dir() else path.parent
    if run.get("kind") != "model" or not (folder / SAMPLES).is_dir():
        return None
    pairs: Sequence[tuple[str, int]] = [(row["prompt"], row["seed"]) for row in run["samples"] if row.get("prompt")]
    return GeneratedSamples(folder, pairs)
