"""A run as one HTML file, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from enpointe.evaluation.blocks import Block, cards, notes, plots, table, tiles
from enpointe.evaluation.files import write_json
from enpointe.evaluation.metrics import ordered, values
from enpointe.evaluation.report.page import cloud_image, save_page
from enpointe.evaluation.rows import worst_first
from enpointe.evaluation.runner.results import Results
from enpointe.evaluation.samples.sample import SampleSet
from enpointe.evaluation.score import Row
from enpointe.evaluation.text import count, duration

RESULTS, REPORT = "results.json", "report.html"
WORST = 8
WITH_IMAGES = 120
"""Samples that are shown with an image: the worst of many."""
LISTED = 200

GROUPS = {"seen": "Seen and held-out colors of a thing", "noun": "By thing", "color": "By color"}


def save_report(results: Results, samples: SampleSet, folder: Path) -> Path:
    """Write results.json and report.html into a folder; returns the page's path.

    Args:
        samples: that were scored; they are read once more for their images.

    Raises:
        OutputError: a file cannot be written.
    """
    found = results.to_json()
    write_json(folder / RESULTS, found)
    order = worst_first(results.rows)
    shown = [results.rows[i] for i in order[:WITH_IMAGES]]
    images = {sample.name: cloud_image(sample.cloud) for sample in samples.pick({str(row["name"]) for row in shown})}
    has_values = any(name in row for row in shown for name in values())
    everything = [card(row, images) for row in shown]
    left = len(results.rows) - len(shown)
    headline, *sections = score_tiles(results)
    blocks = [
        headline,
        notes("Notes", results.notes),
        failures(results.failures),
        cards("Worst cases", everything[:WORST] if has_values and len(everything) > WORST else [],
              "By the mean of their ranks in all that was measured of single samples."),
        *sections,
        table(
            "Not measured", [{"name": "metric", "text": True}, {"name": "why", "text": True}],
            [[name, reason] for name, reason in sorted(results.missing.items())],
        ),
        *(_group(results.groups.get(name, []), title) for name, title in GROUPS.items()),
        *(block for metric in ordered().values() for block in metric.blocks(found)),
        *sweep_plots(results),
        *tool_blocks(results),
        cards("All samples" if not left else f"Samples: the {len(shown)} worst of {len(results.rows):,}",
              everything, "Front and back of each; worst first." if has_values else "Front and back of each.",
              tools=True),
        _settings("How the clouds were generated and scored", results.settings),
        _settings("Cost of this run", results.cost),
    ]  # fmt: skip
    counts = results.counts
    subtitle = count(counts["samples"], "cloud")
    if "reference" in counts:
        subtitle += f" against {counts['reference']:,} reference clouds ({results.tools['reference']['place']})"
    subtitle += f" · seed {results.settings.get('seed')} · enpointe {found['enpointe']}"
    save_page(folder / REPORT, f"Scores of {results.title}", subtitle, blocks, images)
    return folder / REPORT


def score_tiles(results: Results) -> list[Block | None]:
    """The scores section by section; what they cost stands beside the first, unnamed one."""
    sections: dict[str, list[dict[str, Any]]] = {"": []}
    for one in results.scores:
        sections.setdefault(one.section, []).append(one.to_json())
    first = [{**one, "alarm": True} for one in sections.pop("")]
    return [tiles("", [*first, *cost_tiles(results)]), *(_noted(title, group) for title, group in sections.items())]


def _noted(title: str, scores: Sequence[Mapping[str, Any]]) -> Block | None:
    """Tiles whose notes, which several share, stand above them."""
    by_note: dict[str, list[str]] = {}
    for one in scores:
        by_note.setdefault(one.get("note", ""), []).append(one["title"])
    lead = ". ".join(f"{', '.join(titles)}: {note}" if len(by_note) > 1 else note for note, titles in by_note.items())
    rows = [{key: value for key, value in one.items() if key != "note"} for one in scores]
    return tiles(title, rows, f"{lead[:1].upper()}{lead[1:]}." if lead else "")


def cost_tiles(results: Results) -> list[dict[str, Any]]:
    """What the quality beside them took."""
    cost, found = results.cost, []
    stages = cost.get("seconds_per_cloud")
    if stages:
        parts = ", ".join(f"{name} {seconds:g}" for name, seconds in stages.items())
        threads = cost["machine"]["threads"]
        place = f"on {cost.get('device', 'cpu')}, {threads} thread{'' if threads == 1 else 's'}"
        found.append(_cost("Time of a cloud", sum(stages.values()), "s", f"{parts}; {place}"))
    sampling = results.settings.get("sampling", {})
    if "evaluations" in sampling:
        what = f"of the base network with {sampling['sampler']}, each with and without the prompt"
        found.append(_cost("Evaluations", sampling["evaluations"], "", what))
    if cost.get("peak_memory_mb"):
        found.append(_cost("Peak memory", cost["peak_memory_mb"], "MB", "of the process while clouds were generated"))
    if cost.get("peak_device_memory_mb"):
        what = "while clouds were generated"
        found.append(_cost("Peak memory of the device", cost["peak_device_memory_mb"], "MB", what))
    return found


def _cost(title: str, value: float, unit: str, what: str) -> dict[str, Any]:
    return {"cost": True, "title": title, "value": value, "unit": unit, "what": what}


def failures(found: Sequence[Mapping[str, str]]) -> Block | None:
    lead = f"The first {LISTED} of {len(found)}; results.json has all." if len(found) > LISTED else ""
    columns = [{"name": "sample", "text": True}, {"name": "why", "text": True}]
    return table("Failures", columns, [[one["name"], one["reason"]] for one in found[:LISTED]], lead)


def card(row: Row, images: Mapping[str, str]) -> dict[str, Any]:
    """A sample's image, prompt, seed, and its values, in badges and figures."""
    seed = "" if row.get("seed") is None else f"seed {row['seed']}"
    name = str(row["name"])
    badges = [("held-out", "")] if row.get("color") and not row.get("seen") else []
    badges += [(badge.text, badge.tone) for metric in ordered().values() for badge in metric.badges(row)]
    figures = [
        {"name": quantity.title, "value": float(row[key]), "shown": quantity.shown}
        for key, quantity in values().items()
        if quantity.figure and row.get(key) is not None
    ]
    return {
        "title": row.get("prompt") or name,
        "sub": seed if row.get("prompt") else "",
        "image": name if name in images else None,
        "badges": badges,
        "figures": figures,
    }


def _group(entries: Sequence[Mapping[str, Any]], title: str) -> Block | None:
    present = {name: one for name, one in values().items() if any(name in entry for entry in entries)}
    columns: list[dict[str, Any]] = [{"name": "", "text": True}, {"name": "samples"}]
    columns += [{"name": quantity.title, "shown": quantity.shown} for quantity in present.values()]
    rows = [[entry["group"], entry["n"], *(entry.get(name) for name in present)] for entry in entries]
    return table(title, columns, rows) if present else None


BETTER = {"lower": "lower is better", "higher": "higher is better", "half": "best at 50 %"}


def sweep_plots(results: Results) -> list[Block | None]:
    """Quality against the number of evaluations, a line for each sampler."""
    times = results.cost.get("sweep_seconds_per_cloud", {})
    sweep = [{**one, "seconds": times.get(f"{one['sampler']} {one['evaluations']}")} for one in results.sweep]
    swept = [one for metric in ordered().values() for one in metric.scores if one.swept]
    axes = {one.name: (one.title, one.shown, BETTER[one.better]) for one in swept}
    axes["seconds"] = ("Seconds of a cloud", "number", "of the base network")
    found = []
    for name, (title, shown, better) in axes.items():
        by_sampler: dict[str, list[list[float]]] = {}
        for entry in sweep:
            if entry.get(name) is not None:
                by_sampler.setdefault(entry["sampler"], []).append([entry["evaluations"], entry[name]])
        if by_sampler:
            series = [{"name": sampler, "points": sorted(points)} for sampler, points in by_sampler.items()]
            found.append({"title": title, "x": "evaluations", "y": better, "shown": shown, "series": series})
    lead = f"Clouds of 1,024 points without the upsampler, {sweep[0]['clouds']} for each point." if sweep else ""
    return [plots("Quality against number of evaluations", found, lead)]


def tool_blocks(results: Results) -> list[Block | None]:
    """Which networks the numbers hang on, and how good these are by their own account."""
    tools = {kind: tool for kind, tool in results.tools.items() if "note" in tool}
    names = ("", "name", "what it is", "its own quality, on held-out objects")
    rows = [[kind, tool["name"], tool["note"], flat(tool.get("quality", {}))] for kind, tool in tools.items()]
    tables = [
        _entries(f"Quality of {tool['name']}: {name.replace('_', ' ')}", value)
        for tool in tools.values()
        for name, value in tool.get("quality", {}).items()
        if isinstance(value, (list, tuple)) and value and all(isinstance(one, Mapping) for one in value)
    ]
    columns = [{"name": name, "text": True} for name in names]
    return [table("What the scores were made with", columns, rows), *tables]


def _entries(title: str, entries: Sequence[Mapping[str, Any]]) -> Block | None:
    """A folded table of entries that share most of their keys."""
    keys = list(dict.fromkeys(key for entry in entries for key in entry))
    columns = [{"name": key, "text": any(isinstance(entry.get(key), str) for entry in entries)} for key in keys]
    rows = [[entry.get(key) if _plain(entry.get(key)) else flat(entry.get(key)) for key in keys] for entry in entries]
    return table(title, columns, rows, folded=True)


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float))


def flat(value: Any) -> str:
    """Nested numbers on one line: "accuracy 0.91, real: top_5 0.8"."""
    if isinstance(value, Mapping):
        pairs = ((key, f"({flat(one)})" if isinstance(one, Mapping) else flat(one)) for key, one in value.items())
        parts = [f"{key} {text}" for key, text in pairs if text]
        return ", ".join(parts).replace("_", " ") or ("see below" if value else "nothing is known")
    if isinstance(value, (list, tuple)) and any(isinstance(one, (list, tuple, Mapping)) for one in value):
        return ""  # a table, which results.json holds
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return "-".join(flat(one) for one in value)
    return str(value)


def _settings(title: str, settings: Mapping[str, Any]) -> Block | None:
    columns = [{"name": "setting", "text": True}, {"name": "value", "text": True}]
    rows = [[name.replace("_", " "), _setting(name, value)] for name, value in sorted(settings.items())]
    return table(title, columns, rows, folded=True)


def _setting(name: str, value: Any) -> str:
    if value is None:
        return "the model's own"
    return duration(value) if name in ("generation", "scoring", "sweep") else flat(value)
