"""A run as one HTML file to look at, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from enpointe.evaluation.report import page
from enpointe.evaluation.report.page import Block
from enpointe.evaluation.runner.evaluate import Results
from enpointe.evaluation.samples.generated import in_words, write_json
from enpointe.evaluation.samples.sample import SampleSet
from enpointe.evaluation.values import PER_SAMPLE, Row, worst_first

RESULTS, REPORT = "results.json", "report.html"
WORST = 8
PICTURED = 120
"""Samples that are shown with a picture: the worst of many."""
LISTED = 200

GROUPS = {"seen": "Seen and held-out colours of a thing", "noun": "By thing", "colour": "By colour"}


def save_report(results: Results, samples: SampleSet, folder: Path) -> Path:
    """Write results.json and report.html into a folder; returns the page's path.

    Args:
        samples: that were scored; they are read once more for their pictures.

    Raises:
        OutputError: a file cannot be written.
    """
    write_json(folder / RESULTS, results.to_json())
    order = worst_first(results.rows)
    shown = [results.rows[i] for i in order[:PICTURED]]
    pictures = {sample.name: page.picture(sample.cloud) for sample in samples.pick({str(row["name"]) for row in shown})}
    has_values = any(name in row for row in shown for name in PER_SAMPLE)
    everything = [card(row, pictures) for row in shown]
    left = len(results.rows) - len(shown)
    headline, *more_tiles = score_tiles(results)
    blocks = [
        headline,
        page.notes("To be minded", results.notes),
        failures(results.failures),
        page.cards("Worst cases", everything[:WORST] if has_values and len(everything) > WORST else [],
                   "By the mean of their ranks in all that was measured of single samples."),
        *more_tiles,
        page.table(
            "Not measured", [{"name": "score", "text": True}, {"name": "why", "text": True}],
            [[name, reason] for name, reason in sorted(results.missing.items())],
        ),
        *(_group(results.groups.get(name, []), title) for name, title in GROUPS.items()),
        context(results),
        *sweep_plots(results),
        *tool_blocks(results),
        page.cards("All samples" if not left else f"Samples: the {len(shown)} worst of {len(results.rows):,}",
                   everything, "Front and back of each; worst first." if has_values else "Front and back of each.",
                   tools=True),
        _settings("How the clouds were made and scored", results.settings),
        _settings("Cost of this run", results.cost),
    ]  # fmt: skip
    counts = results.counts
    subtitle = f"{counts['samples']:,} clouds"
    if "reference" in counts:
        subtitle += f" against {counts['reference']:,} true ones ({results.tools['reference']['place']})"
    subtitle += f" · seed {results.settings.get('seed')} · enpointe {results.summary()['enpointe']}"
    page.save_page(folder / REPORT, f"How good is {results.title}?", subtitle, blocks, pictures)
    return folder / REPORT


HEADLINES = ("p_fid", "p_is", "r_precision", "r_precision_at_5", "clip_score", "named")
ON_MESHES = ("watertight", "components", "self_intersection", "normal_consistency")


def score_tiles(results: Results) -> list[Block | None]:
    """The scores in three groups; what they cost stands beside the first."""
    scores = results.to_json()["scores"]
    first = [{**one, "alarm": True} for one in scores if one["name"] in HEADLINES]
    meshes = [one for one in scores if one["name"] in ON_MESHES]
    distances = [one for one in scores if one["name"] not in (*HEADLINES, *ON_MESHES)]
    return [
        page.tiles("", [*first, *cost_tiles(results)]),
        *(_noted(title, group) for title, group in (("Distances to true clouds", distances), ("Meshes", meshes))),
    ]


def _noted(title: str, scores: Sequence[Mapping[str, Any]]) -> Block | None:
    """Tiles whose notes, which several share, stand above them."""
    by_note: dict[str, list[str]] = {}
    for one in scores:
        by_note.setdefault(one.get("note", ""), []).append(one["title"])
    lead = ". ".join(f"{', '.join(titles)}: {note}" if len(by_note) > 1 else note for note, titles in by_note.items())
    rows = [{key: value for key, value in one.items() if key != "note"} for one in scores]
    return page.tiles(title, rows, f"{lead[:1].upper()}{lead[1:]}." if lead else "")


def cost_tiles(results: Results) -> list[dict[str, Any]]:
    """What the quality beside them took."""
    cost, tiles = results.cost, []
    stages = cost.get("seconds_per_cloud")
    if stages:
        parts = ", ".join(f"{name} {seconds:g}" for name, seconds in stages.items())
        tiles.append(_cost("Time of a cloud", sum(stages.values()), "s", f"{parts}; on {cost.get('device', 'cpu')}, "
                           f"{cost['machine']['threads']} threads"))  # fmt: skip
    drawn = results.settings.get("drawn_with", {})
    if "evaluations" in drawn:
        what = f"of the base network with {drawn['sampler']}, each with and without the prompt"
        tiles.append(_cost("Evaluations", drawn["evaluations"], "", what))
    if cost.get("peak_memory_mb"):
        tiles.append(_cost("Peak memory", cost["peak_memory_mb"], "MB", "of the process while clouds were made"))
    if cost.get("peak_device_memory_mb"):
        tiles.append(_cost("Peak memory of the device", cost["peak_device_memory_mb"], "MB", "while clouds were made"))
    return tiles


def _cost(title: str, value: float, unit: str, what: str) -> dict[str, Any]:
    return {"cost": True, "title": title, "value": value, "unit": unit, "what": what}


def failures(found: Sequence[Mapping[str, str]]) -> Block | None:
    lead = f"The first {LISTED} of {len(found)}; results.json has all." if len(found) > LISTED else ""
    columns = [{"name": "sample", "text": True}, {"name": "why", "text": True}]
    return page.table("Failures", columns, [[one["name"], one["reason"]] for one in found[:LISTED]], lead)


def card(row: Row, pictures: Mapping[str, str]) -> dict[str, Any]:
    """A sample's picture, prompt, seed, and what is wrong or right with it."""
    seed = "" if row.get("seed") is None else f"seed {row['seed']}"
    name = str(row["name"])
    badges = []
    if row.get("colour") and not row.get("seen"):
        badges.append(("held-out", ""))
    if "named" in row:
        badges.append((f"taken for: {row['class']}", "good" if row["named"] else "bad"))
    elif "class" in row:
        badges.append((f"taken for: {row['class']}", ""))
    if "rank" in row:
        badges.append((f"rank {row['rank']}", "good" if row["rank"] == 1 else "bad"))
    if "rival" in row:
        badges.append((f"looks more like: {row['rival']}", "bad"))
    if row.get("watertight") is False:
        badges.append(("has holes", "bad"))
    if row.get("components", 1) > 1:
        badges.append((f"{row['components']} pieces", "bad"))
    in_badges = ("named", "r_at_1", "watertight", "components")
    figures = [
        {"name": title, "value": float(row[key]), "shown": shown}
        for key, (title, _, shown) in PER_SAMPLE.items()
        if row.get(key) is not None and key not in in_badges
    ]
    return {
        "title": row.get("prompt") or name,
        "sub": seed if row.get("prompt") else "",
        "pictures": [name] if name in pictures else [],
        "badges": badges,
        "figures": figures,
    }


def _group(entries: Sequence[Mapping[str, Any]], title: str) -> Block | None:
    if not entries:
        return None
    present = [name for name in PER_SAMPLE if any(name in entry for entry in entries)]
    columns: list[dict[str, Any]] = [{"name": "", "text": True}, {"name": "samples"}]
    columns += [{"name": PER_SAMPLE[name][0], "shown": PER_SAMPLE[name][2]} for name in present]
    rows = [[entry["group"], entry["n"], *(entry.get(name) for name in present)] for entry in entries]
    return page.table(title, columns, rows) if present else None


def context(results: Results) -> Block | None:
    """R-Precision beside that of true clouds, of chance, and of papers where these may be compared."""
    ours = {one.name: one for one in results.scores}
    if "r_precision" not in ours:
        return None
    name = results.tools["encoder"]["name"]
    five = ours["r_precision_at_5"].value
    rows: list[list[Any]] = [[results.title, f"these samples, through {name}", ours["r_precision"].value, five]]
    if "r_precision" in results.ceiling:
        best = [results.ceiling[key]["value"] for key in ("r_precision", "r_precision_at_5")]
        rows.append(["true clouds", "fresh objects of the same prompts: what could be reached", *best])
    rows += [[method, "published", value, None] for method, value in results.published["rows"]]
    columns: list[dict[str, Any]] = [{"name": "", "text": True}] * 2
    columns += [{"name": name, "shown": "share"} for name in ("R@1", "R@5")]
    lead = results.published["why_not"] or results.published["caveat"]
    return page.table("R-Precision in context", columns, rows, f"{lead[:1].upper()}{lead[1:]}.")


def sweep_plots(results: Results) -> list[Block | None]:
    """Quality against the number of evaluations, a line for each sampler."""
    times = results.cost.get("sweep_seconds_per_cloud", {})
    sweep = [{**one, "seconds": times.get(f"{one['sampler']} {one['evaluations']}")} for one in results.sweep]
    titles = {
        "chamfer_to_prompt": ("Distance to prompt", "number", "lower is better"),
        "p_fid": ("P-FID", "number", "lower is better"),
        "named": ("Named right", "share", "higher is better"),
        "r_precision": ("R-Precision", "share", "higher is better"),
        "seconds": ("Seconds of a cloud", "number", "of the base network"),
    }
    plots = []
    for name, (title, shown, better) in titles.items():
        by_sampler: dict[str, list[list[float]]] = {}
        for entry in sweep:
            if entry.get(name) is not None:
                by_sampler.setdefault(entry["sampler"], []).append([entry["evaluations"], entry[name]])
        if by_sampler:
            series = [{"name": sampler, "points": sorted(points)} for sampler, points in by_sampler.items()]
            plots.append({"title": title, "x": "evaluations", "y": better, "shown": shown, "series": series})
    lead = f"Clouds of 1,024 points without the upsampler, {sweep[0]['clouds']} for each point." if sweep else ""
    return [page.plots("Quality against number of evaluations", plots, lead)]


def tool_blocks(results: Results) -> list[Block | None]:
    """Which networks the numbers hang on, and how good these are by their own account."""
    tools = [(kind, results.tools[kind]) for kind in ("classifier", "encoder", "renderer") if kind in results.tools]
    names = ("", "name", "what it is", "its own quality, on held-out objects")
    rows = [[kind, tool["name"], tool["note"], flat(tool["quality"])] for kind, tool in tools]
    tables = [
        _entries(f"Quality of {tool['name']}: {name.replace('_', ' ')}", value)
        for _, tool in tools
        for name, value in tool["quality"].items()
        if isinstance(value, (list, tuple)) and value and all(isinstance(one, Mapping) for one in value)
    ]
    columns = [{"name": name, "text": True} for name in names]
    return [page.table("What the scores were made with", columns, rows), *tables]


def _entries(title: str, entries: Sequence[Mapping[str, Any]]) -> Block | None:
    """A folded table of entries that share most of their keys."""
    keys = list(dict.fromkeys(key for entry in entries for key in entry))
    columns = [{"name": key, "text": any(isinstance(entry.get(key), str) for entry in entries)} for key in keys]
    rows = [[entry.get(key) if _plain(entry.get(key)) else flat(entry.get(key)) for key in keys] for entry in entries]
    return page.table(title, columns, rows, folded=True)


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
    rows = [[name.replace("_", " "), _said(name, value)] for name, value in sorted(settings.items())]
    return page.table(title, columns, rows, folded=True)


def _said(name: str, value: Any) -> str:
    if value is None:
        return "the model's own"
    return in_words(value) if name in ("making", "scoring", "sweep") else flat(value)
