"""Assets to shards: in many processes, may be killed and resumed at any moment, always the same bytes.

Every asset's outcome is kept in a work folder as soon as it is known. When all are known, duplicates are
found among them, the records are put into their shards in the order of their identifiers, and the index is
written last: where it stands, the set is whole.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe import __version__
from enpointe.core.errors import InputError
from enpointe.core.progress import Progress, ProgressCallback, no_progress
from enpointe.data.assets import Asset
from enpointe.data.attribution import Attributed, attribution_text
from enpointe.data.build import filters
from enpointe.data.build.config import BuildConfig
from enpointe.data.build.convert import Converted, OpenRenderer, failure, open_converter
from enpointe.data.build.fuse import sampling_method
from enpointe.data.build.outcomes import DROPPED, FAILED, KEPT, Outcome
from enpointe.data.build.staging import Staging
from enpointe.data.build.workers import JobFailure, Limits, run_jobs
from enpointe.data.shards import descriptors
from enpointe.data.shards import index as shards
from enpointe.data.shards.index import INDEX, PER_SHARD, Index, Shard
from enpointe.data.shards.records import canonical_json, read_json, record_id
from enpointe.data.shards.store import Store

WORK = ".build"
FAILURES, DROPS, ATTRIBUTION = "failures.jsonl", "dropped.jsonl", "ATTRIBUTION.md"
_TEMPORARY = re.compile(r"\.[0-9a-f]{12}\.tmp")

ConvertAssets = Callable[[Sequence[Asset], OpenRenderer, BuildConfig, Limits], Iterator[Converted]]
"""Yields the conversion of each asset, in the order in which they end."""


@dataclass(frozen=True)
class BuildSummary:
    """The index of what was built, and how many assets were dropped for which reason."""

    index: Index
    dropped: Mapping[str, int]


def build_shards(
    source: Iterable[Asset],
    out: str | Path,
    open_renderer: OpenRenderer,
    config: BuildConfig,
    *,
    workers: int = 1,
    resume: bool = False,
    limit: int | None = None,
    work: str | Path | None = None,
    per_shard: int = PER_SHARD,
    limits: Limits | None = None,
    progress: ProgressCallback = no_progress,
    method: str = "spawn",
    convert_assets: ConvertAssets | None = None,
) -> BuildSummary:
    """Make shards of a source's assets.

    The same assets and config give the same bytes, whatever the number of workers, the order of the source,
    and how often the build was killed and resumed.

    Args:
        source: the assets; of two with one key the second fails.
        out: a folder, or an fsspec URL.
        open_renderer: opens a renderer in a worker's process; it is sent there.
        resume: go on with a build that was begun with the same arguments, if one was.
        limit: make only so many, a sample that is always the same.
        work: a folder of this machine for what is under way (default: `WORK` in `out`); a URL needs one.
        per_shard: assets that share a shard.
        limits: what one asset may take.
        progress: called after each asset, with how many are done.
        method: how processes start, as multiprocessing calls it.
        convert_assets: used in place of workers of this machine, such as `ray.on_ray` opens.

    Raises:
        InputError: there are no assets, or earlier work in the folders that is not to be resumed or is of
            another build, or the renderer cannot be opened.
        OutputError: a file cannot be written.
    """
    store = Store(out)
    if work is None and store.folder is None:
        raise InputError(f"{out}: expected a work folder on this machine for a build to a URL, found none")
    staging = Staging(Path(work) if work is not None else Path(out) / WORK)
    assets, twice = _listed(source, limit)
    plan = _plan(config, assets, twice, per_shard)
    finished = _check_begun(store, staging, plan, resume)
    if finished is None:
        staging.write("plan", plan)
        todo = [asset for asset in assets if staging.load(asset.key) is None]
        limits = limits or Limits()
        if convert_assets is None:
            ended = _convert_locally(todo, staging, open_renderer, config, workers, limits, method)
        else:
            ended = _convert_remotely(convert_assets(todo, open_renderer, config, limits), staging)
        for done, _ in enumerate(ended, start=len(assets) - len(todo) + 1):
            progress(Progress("models", done, len(assets)))
        outcomes = [*_final_outcomes(assets, staging, config.thresholds.duplicate), *twice]
        finished = _assemble(store, staging, assets, outcomes, plan, per_shard)
    shutil.rmtree(staging.folder, ignore_errors=True)
    return BuildSummary(finished, Counter(str(entry["reason"]) for entry in read_lines(store, DROPS)))


def _listed(source: Iterable[Asset], limit: int | None) -> tuple[list[Asset], list[Outcome]]:
    """Assets in the order of their identifiers, and failures of those whose key was taken."""
    assets: dict[str, Asset] = {}
    twice: dict[str, Outcome] = {}
    for asset in source:
        if asset.key not in assets:
            assets[asset.key] = asset
        else:
            twice[asset.key] = failure(asset, "another asset has the same key")
    chosen = sorted(assets.values(), key=lambda asset: record_id(asset.key))[:limit]
    if not chosen:
        raise InputError("expected assets, found none")
    return chosen, [twice[asset.key] for asset in chosen if asset.key in twice]


def _plan(config: BuildConfig, assets: Sequence[Asset], twice: Sequence[Outcome], per_shard: int) -> dict[str, Any]:
    """What two builds have in common if one may resume the other."""
    keys = hashlib.sha256()
    for asset in assets:
        keys.update(record_id(asset.key).encode())
    return {
        "enpointe": __version__, **config.header(), "per_shard": per_shard, "assets": len(assets) + len(twice),
        "keys": keys.hexdigest(), "sampling": sampling_method(),
    }  # fmt: skip


def _check_begun(store: Store, staging: Staging, plan: Mapping[str, Any], resume: bool) -> Index | None:
    """The index if the build was finished already; InputError if there is work that is not this build's."""
    finished = shards.read_index(store) if store.exists(INDEX) else None
    begun = dict(finished.settings) if finished is not None else staging.read("plan")
    if begun is None:
        if left := [name for name in store.names() if not name.startswith(".")]:
            raise InputError(f"{store.place}: expected an empty place for the shards, found {left[0]!r} there")
        return None
    if not resume:
        what = "a finished" if finished is not None else "an unfinished"
        raise InputError(f"{store.place}: expected an empty place, found {what} build (--resume goes on with it)")
    for name, value in plan.items():
        if begun.get(name) != value:
            raise InputError(
                f"{store.place}: expected to resume a build with {name} {_short(value)}, "
                f"found one with {_short(begun.get(name))}"
            )
    if store.folder is not None and store.folder.is_dir():
        for path in store.folder.iterdir():
            if _TEMPORARY.fullmatch(path.name):  # left by a killed process
                path.unlink(missing_ok=True)
    return finished


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _convert_locally(
    todo: Sequence[Asset],
    staging: Staging,
    open_renderer: OpenRenderer,
    config: BuildConfig,
    workers: int,
    limits: Limits,
    method: str,
) -> Iterator[None]:
    """Until every asset has an outcome; each step is one more."""
    open_worker = partial(open_converter, open_renderer, config, staging.folder, staging.folder / "scratch")
    team = min(workers, len(todo))
    for asset, result in run_jobs(todo, open_worker, workers=team, limits=limits, method=method):
        if isinstance(result, JobFailure):
            staging.save(failure(asset, result.reason), None)
        yield


def _convert_remotely(converted: Iterable[Converted], staging: Staging) -> Iterator[None]:
    """The same, of outcomes that come from other machines."""
    for outcome, record in converted:
        staging.save(outcome, record)
        yield


def _final_outcomes(assets: Sequence[Asset], staging: Staging, threshold: float) -> list[Outcome]:
    """All outcomes in order, duplicates dropped: of each group the one whose key comes first stays."""
    outcomes: list[Outcome] = []
    rows: dict[int, NDArray[np.float32]] = {}
    for asset in assets:
        outcome = staging.load(asset.key)
        if outcome is None:  # another process had a hand in the folder
            raise InputError(f"{staging.folder}: expected the outcome of {asset.key!r}, found none; use --resume")
        if outcome.status == KEPT:
            rows[len(outcomes)] = descriptors.of_text(outcome.descriptor)
        outcomes.append(replace(outcome, descriptor="", figures={}))  # there may be millions
    kept = sorted(rows, key=lambda i: outcomes[i].key)
    stacked = np.array([rows.pop(i) for i in kept]).reshape(-1, descriptors.LENGTH)
    for row, (first, distance) in descriptors.duplicates(stacked, threshold).items():
        i = kept[row]
        outcomes[i] = replace(
            outcomes[i], status=DROPPED, reason=filters.DUPLICATE, figure=round(distance, 6), threshold=threshold,
            detail=f"of {outcomes[kept[first]].key}",
        )  # fmt: skip
    return outcomes


def _assemble(
    store: Store,
    staging: Staging,
    assets: Sequence[Asset],
    outcomes: Sequence[Outcome],
    plan: Mapping[str, Any],
    per_shard: int,
) -> Index:
    """Write the shards that are not written yet, the lists, and at last the index."""
    made = []
    for number, start in enumerate(range(0, len(assets), per_shard)):
        group = outcomes[start : start + per_shard]
        kept = [outcome for outcome in group if outcome.status == KEPT]
        if kept:
            made.append(_shard(store, staging, number, kept))
        for outcome in group:
            staging.discard(outcome.key)
    files = {}
    for name, data in _lists(outcomes):
        store.write(name, data)
        files[name] = hashlib.sha256(data).hexdigest()
    status = Counter(outcome.status for outcome in outcomes)
    counts = {"listed": len(outcomes), **{name: status[name] for name in (KEPT, DROPPED, FAILED)}}
    index = Index(tuple(made), dict(plan), counts, files)
    store.write(INDEX, index.encode())
    return index


def _shard(store: Store, staging: Staging, number: int, kept: Sequence[Outcome]) -> Shard:
    name = shards.shard_name(number)
    written = staging.read(name)
    if written is not None:
        if not store.exists(name):
            raise InputError(f"{store.place}/{name}: expected the shard that was written, found none; build anew")
        return Shard(**written)
    shard = shards.write_shard(store, name, (staging.record(outcome) for outcome in kept))
    staging.write(name, asdict(shard))
    return shard


def _lists(outcomes: Iterable[Outcome]) -> Iterator[tuple[str, bytes]]:
    """What was left out and why, and the attribution of the rest: each by key."""
    ordered = sorted(outcomes, key=lambda outcome: (outcome.key, outcome.status))
    failed = [{"key": o.key, "reason": o.reason} for o in ordered if o.status == FAILED]
    dropped = [
        {"key": o.key, "reason": o.reason, "figure": o.figure, "threshold": o.threshold, "detail": o.detail}
        for o in ordered
        if o.status == DROPPED
    ]
    for name, entries in ((FAILURES, failed), (DROPS, dropped)):
        yield name, b"".join(canonical_json(entry) + b"\n" for entry in entries)
    yield ATTRIBUTION, attribution(o for o in ordered if o.status == KEPT)


def attribution(works: Iterable[Attributed]) -> bytes:
    """The file with the attribution of the records."""
    return attribution_text(works).encode("utf-8", "backslashreplace")


def read_lines(store: Store, name: str) -> list[dict[str, Any]]:
    """The entries of `FAILURES` or `DROPS`.

    Raises:
        InputError: the file is absent or damaged.
    """
    lines = store.read(name).splitlines()
    return [read_json(line, f"{store.place}/{name}, line {i}") for i, line in enumerate(lines, start=1)]
