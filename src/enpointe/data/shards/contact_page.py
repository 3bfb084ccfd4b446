"""An HTML page of a set of shards: images, captions, clouds to turn, and what was left out."""

from __future__ import annotations

import base64
import io
import itertools
import json
import re
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any

from PIL import Image

from enpointe.core.files import replacing
from enpointe.data.build.build import DROPS, FAILURES, read_lines
from enpointe.data.shards.index import Index, read_index
from enpointe.data.shards.reader import read_shards
from enpointe.data.shards.records import Record, StoredView
from enpointe.data.shards.store import Store
from enpointe.render import viewer

IMAGES, SIDE = 6, 144
"""Of each record, and pixels along a side."""
_LISTED = 200
"""Assets that are listed by name as dropped or failed; the others are counted."""


def save_page(place: str | Path, out: Path, *, n: int = 60, seed: int = 0) -> int:
    """Write the page of a set of shards: `n` records at random, or all if there are fewer; returns how many.

    It needs a browser with WebGL 2 and no network; a content policy in it forbids it to load anything.

    Raises:
        InputError: there is no such set, or it is damaged.
        OutputError: the page cannot be written.
    """
    store = Store(place)
    index = read_index(store)
    records = list(itertools.islice(read_shards(place, seed=seed, weighted=False), n))
    data = {
        "place": Path(place).name if store.folder is not None else store.place,
        "facts": _facts(index),
        "left_out": [_left_out(name, store, index) for name in (DROPS, FAILURES)],
        "licences": Counter(record.licence for record in records).most_common(),
        "histograms": _histograms(records),
        "records": [_card(record) for record in sorted(records, key=lambda record: record.key)],
    }
    page = resources.files("enpointe.data.shards").joinpath("contact_page.html").read_text(encoding="utf-8")
    parts = {"VIEWER": _script(viewer.template()), "DATA": _script(data)}
    # In one pass: the viewer has markers of its own, and captions may hold anything.
    page = re.sub("%%([A-Z]+)%%", lambda found: parts[found[1]], page)
    with replacing(out) as file:
        file.write(page.encode("utf-8", "backslashreplace"))
    return len(records)


def _script(value: Any) -> str:
    """JSON that can stand in a script element."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _facts(index: Index) -> list[tuple[str, str]]:
    settings = index.settings
    return [
        ("records", f"{index.records:,}"),
        ("shards", f"{len(index.shards):,}"),
        ("megabytes", f"{sum(shard.bytes for shard in index.shards) / 1e6:,.1f}"),
        *((name, f"{index.counts[name]:,}") for name in ("listed", "dropped", "failed") if name in index.counts),
        *((name, str(settings[name])) for name in ("renderer", "views", "size", "points") if name in settings),
    ]


def _left_out(name: str, store: Store, index: Index) -> dict[str, Any]:
    """Reasons with their counts, and the first assets with theirs; nothing where there is no such list."""
    entries = read_lines(store, name) if name in index.files else []
    return {
        "what": "Dropped by a filter" if name == DROPS else "Failed",
        "reasons": Counter(str(entry.get("reason")) for entry in entries).most_common(20),
        "assets": entries[:_LISTED],
        "more": max(0, len(entries) - _LISTED),
    }


def _histograms(records: list[Record]) -> list[dict[str, Any]]:
    """The filters' figures of the records."""
    found: dict[str, list[float]] = {}
    for record in records:
        figures = record.provenance.get("figures")
        for name, value in figures.items() if isinstance(figures, dict) else ():
            if isinstance(value, (int, float)):
                found.setdefault(name, []).append(float(value))
    return [{"name": name, "values": values} for name, values in sorted(found.items())]


def _card(record: Record) -> dict[str, Any]:
    step = max(1, len(record.views) // IMAGES)
    return {
        "key": record.key,
        "captions": list(record.captions),
        "credit": f"{record.creator} · {record.licence} · {record.source}",
        "figures": record.provenance.get("figures", {}),
        "images": [_thumbnail(view) for view in record.views[::step][:IMAGES]],
        "scene": viewer.scene(record.cloud(), None),
    }


def _thumbnail(view: StoredView) -> str:
    file = io.BytesIO()
    Image.fromarray(view.pixels()).resize((SIDE, SIDE), Image.Resampling.BOX).save(file, "WEBP", quality=80)
    return base64.b64encode(file.getvalue()).decode("ascii")
