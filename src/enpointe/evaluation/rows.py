"""Values of single samples: in groups, and which samples do worst."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from enpointe.evaluation.metrics import values
from enpointe.evaluation.score import Row


def groups(rows: Sequence[Row]) -> dict[str, list[dict[str, Any]]]:
    """Means of the samples' own values by noun, by color and by whether the pair of both was seen in training.

    Each entry has "group", "n", and of each value its mean, over those of the group's samples that have it.
    """
    labels: dict[str, Callable[[Row], str | None]] = {
        "seen": lambda row: ("seen" if row["seen"] else "held-out") if row.get("color") else None,
        "noun": lambda row: row.get("noun"),
        "color": lambda row: row.get("color"),
    }
    return {name: made for name, label in labels.items() if (made := _grouped(rows, label))}


def _grouped(rows: Sequence[Row], label: Callable[[Row], str | None]) -> list[dict[str, Any]]:
    members: dict[str, list[Row]] = {}
    for row in rows:
        of = label(row)
        if of is not None:
            members.setdefault(of, []).append(row)
    table = []
    for of in sorted(members, key=lambda of: (of == "held-out", of)):
        entry: dict[str, Any] = {"group": of, "n": len(members[of])}
        for name in values():
            found = [float(row[name]) for row in members[of] if row.get(name) is not None]
            if found:
                entry[name] = float(np.mean(found))
        table.append(entry)
    return table


def worst_first(rows: Sequence[Row]) -> list[int]:
    """Indices of the samples, those that do worst over all that was measured of them first."""
    badness = np.zeros(len(rows))
    counted = np.zeros(len(rows))
    for name, quantity in values().items():
        has = np.array([row.get(name) is not None for row in rows], bool)
        if not has.any():
            continue
        found = np.array([float(row[name]) for row, known in zip(rows, has, strict=True) if known])
        found = found if quantity.better == "lower" else -found
        # The share of samples that do better, half of those alike counted.
        order = np.sort(found)
        place = (np.searchsorted(order, found, "left") + np.searchsorted(order, found, "right")) / 2
        badness[has] += place / len(found)
        counted[has] += 1
    badness = np.where(counted > 0, badness / np.maximum(counted, 1), 0)
    return np.argsort(-badness, kind="stable").tolist()
