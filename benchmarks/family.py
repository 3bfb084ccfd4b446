"""The embedded family's report in short: docs/pocket.md and docs/pocket-worst.png from a run of `enpointe evaluate`.

enpointe evaluate --model pocket --n 272 --out runs/pocket
enpointe evaluate --model pocket --n 24 --metrics named --sweep 6 --out runs/sweep
python -m benchmarks.family runs/pocket --sweep runs/sweep
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.evaluation.metrics import values
from enpointe.evaluation.rows import worst_first
from enpointe.geometry import PointCloud
from enpointe.io.png import save_image
from enpointe.render.contact_sheet import contact_sheet
from enpointe.render.software.orthographic import views

DOCS = Path(__file__).resolve().parents[1] / "docs"
WORST, COLUMNS, SIDE, LABEL = 16, 4, 220, 40
SHOWN = ("named", "r_at_1", "clip_score", "f_score", "chamfer", "normal_consistency", "watertight", "components")
"""Values of single samples in the tables."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--sweep", type=Path, help="folder of a run with a sweep")
    options = parser.parse_args()
    results = json.loads((options.run / "results.json").read_text(encoding="utf-8"))
    worst = [results["samples"][i] for i in worst_first(results["samples"])[:WORST]]
    sweep = json.loads((options.sweep / "results.json").read_text(encoding="utf-8")) if options.sweep else None
    (DOCS / "pocket.md").write_text(page(results, worst, sweep), encoding="utf-8")
    save_image(worst_sheet(options.run, worst), DOCS / "pocket-worst.png")


def page(results: dict[str, Any], worst: list[dict[str, Any]], sweep: dict[str, Any] | None) -> str:
    counts, cost = results["counts"], results["cost"]
    seconds = ", ".join(f"{name} {value} s" for name, value in cost["seconds_per_cloud"].items())
    parts = [
        "# How good the embedded family is",
        (
            "Of the 24 things that its base network draws: the list of prompts is older than the layout and detail "
            "networks, which draw everything else. How these were judged: "
            "[their card](../src/enpointe/assets/README.md)."
        ),
        (
            "Made by `python -m benchmarks.family` from the report of\n\n```\nenpointe evaluate --model pocket "
            f"--n {counts['samples']} --out runs/pocket\n```"
        ),
        (
            f"{counts['samples']} clouds of {results['settings']['n_points']:,} points, "
            f"{results['settings']['different_prompts']} prompts, seeds from {results['settings']['seed']}; none was "
            f"left out ({counts['failures']} failures). Beside them {counts['reference']} fresh procedural objects of "
            "the same things, which no training saw. What each score is: [evaluation](evaluation.md)."
        ),
        scores_table(results),
        "Ceiling: the same score of true objects. " + results["tools"]["classifier"]["note"] + " R-Precision is seen "
        "through the embedded joint model, which learned from the same families and colors: it tells runs of this "
        "tool apart and says nothing beside published numbers.",
        (
            f"**Cost** of the same run: {seconds} a cloud, {results['settings']['sampling']['evaluations']} "
            f"evaluations of the base network, peak memory {cost['peak_memory_mb'] / 1000:.1f} GB (many clouds at a "
            f"time), on {cost['machine']['threads']} threads of a machine that did other work as well."
        ),
        *(f"## By {name}\n\n{group_table(entries)}" for name, entries in named_groups(results)),
        (
            f"## Worst cases\n\nThe {WORST} samples that do worst over all values together.\n\n"
            "![The worst samples with their prompts](pocket-worst.png)"
        ),
        worst_table(worst),
    ]
    if sweep is not None:
        parts.append("## Evaluations\n\n" + sweep_table(sweep))
    return "\n\n".join(parts) + "\n"


def scores_table(results: dict[str, Any]) -> str:
    rows: list[tuple[str, ...]] = []
    for score in results["scores"]:
        best = results["ceiling"].get(score["name"])
        interval = f"{shown(score, 'low')} to {shown(score, 'high')}" if "low" in score else ""
        rows.append((score["title"], shown(score), interval, "" if best is None else shown(best), score["what"]))
    return table(("score", "value", "95 % interval", "ceiling", "what"), rows)


def named_groups(results: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    names = {"seen": "pair of thing and color, seen in training or held out", "noun": "thing", "color": "color"}
    return [(title, results["groups"][name]) for name, title in names.items() if name in results["groups"]]


def group_table(entries: list[dict[str, Any]]) -> str:
    keys = [key for key in SHOWN if any(key in entry for entry in entries)]
    rows = [(entry["group"], str(entry["n"]), *(value_of(entry, key) for key in keys)) for entry in entries]
    return table(("", "clouds", *(values()[key].title for key in keys)), rows)


def worst_table(worst: list[dict[str, Any]]) -> str:
    keys = [key for key in SHOWN if any(row.get(key) is not None for row in worst)]
    rows = [
        (row["prompt"], str(row["seed"]), row.get("class", ""), row.get("rival", ""), *(value_of(row, k) for k in keys))
        for row in worst
    ]
    return table(("prompt", "seed", "classified as", "likelier prompt", *(values()[key].title for key in keys)), rows)


def sweep_table(sweep: dict[str, Any]) -> str:
    found = sweep["sweep"]
    counts = sorted({one["evaluations"] for one in found})
    rows = []
    for sampler in dict.fromkeys(one["sampler"] for one in found):
        of = {one["evaluations"]: one for one in found if one["sampler"] == sampler}
        rows.append((sampler, *(f"{of[n]['chamfer_to_prompt']:.4f}, {of[n]['named']:.0%}" for n in counts)))
    lead = (
        f"Distance to the nearest true cloud of the prompt, and classifier accuracy, of {found[0]['clouds']} clouds of "
        "1,024 points by each sampler and number of evaluations of the base network (guided pairs): few, so "
        "that shares are coarse. `enpointe evaluate --model pocket --n 24 --metrics named --sweep 6`."
    )
    return f"{lead}\n\n{table(('sampler', *map(str, counts)), rows)}"


def value_of(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    if value is None:
        return ""
    return f"{value:.0%}" if values()[key].shown == "share" else f"{float(value):.3g}"


def shown(score: dict[str, Any], key: str = "value") -> str:
    return f"{score[key]:.1%}" if score.get("shown") == "share" else f"{score[key]:.3g}"


def table(names: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = (names, ("---",) * len(names), *rows)
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def worst_sheet(run: Path, worst: list[dict[str, Any]]) -> NDArray[np.uint8]:
    clouds = [PointCloud.load(run / "samples" / row["name"] / "cloud.npz") for row in worst]
    labels = [f"{row['prompt']}, seed {row['seed']}\nclassified as: {row.get('class', '?')}" for row in worst]
    images = [views(cloud, 1, SIDE) for cloud in clouds]
    return contact_sheet(images, labels, columns=COLUMNS, caption_height=LABEL, font_size=14, align="center")


if __name__ == "__main__":
    main()
