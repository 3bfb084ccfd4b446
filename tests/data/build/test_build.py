"""Builds: the same bytes however they come about, and nothing lost that is not the asset's own fault."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.fake_build import CONFIG, FakeRenderer, asset, boxes, troublesome
from data.hostile import make_hostile, matches
from enpointe.core.errors import DeviceError, InputError
from enpointe.data.assets import Asset
from enpointe.data.build.build import BuildSummary, build_shards
from enpointe.data.build.config import BuildConfig
from enpointe.data.build.fuse import sampling_method
from enpointe.data.build.workers import Limits
from enpointe.data.shards.check import check_shards
from enpointe.data.shards.reader import read_shards
from enpointe.data.shards.records import record_id
from enpointe.data.sources.folder import Folder

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked here, for speed")
COUNT, PER_SHARD = 40, 9


def build(
    out: Path | str, assets: list[Asset] | None = None, config: BuildConfig = CONFIG, **options: Any
) -> BuildSummary:
    arguments = {"per_shard": PER_SHARD, "method": "fork", **options}
    return build_shards(assets or boxes(COUNT), out, FakeRenderer, config, **arguments)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("build") / "shards"
    build(out)
    return out


def test_what_is_kept_dropped_and_failed(built: Path) -> None:
    records = {record.key: record for record in read_shards(built)}
    dropped = {line["key"]: line for line in lines(built / "dropped.jsonl")}
    failed = {line["key"]: line["reason"] for line in lines(built / "failures.jsonl")}
    assert set(records) == {f"box/{i:03d}" for i in range(COUNT)}
    assert failed == {"broken": "expected a model, found nonsense", "unforeseen": "KeyError: 'no'"}
    assert set(dropped) == {"sheet", "needle"} | {f"copy/{i:03d}" for i in range(0, COUNT, 10)}
    assert dropped["copy/010"]["reason"] == "duplicate"
    assert dropped["copy/010"]["detail"] == "of box/010"
    assert dropped["sheet"]["reason"] == "flat"
    for line in dropped.values():
        assert line["figure"] < line["threshold"]  # type: ignore[operator]
    index = json.loads((built / "index.json").read_text())
    assert index["counts"] == {"listed": COUNT + 8, "kept": COUNT, "dropped": 6, "failed": 2}
    attribution = (built / "ATTRIBUTION.md").read_text()
    assert "## nowhere: CC0-1.0" in attribution
    assert "box/000" in attribution
    assert "copy/000" not in attribution


def test_records_hold_what_was_made(built: Path) -> None:
    record = next(record for record in read_shards(built) if record.key == "box/003")
    rng = np.random.default_rng(3)
    size, color = rng.uniform(0.2, 1, 3), rng.uniform(0, 1, 3)
    points = record.cloud().points
    assert len(points) == CONFIG.points
    np.testing.assert_allclose(np.ptp(points, axis=0), size / size.max(), atol=0.12)  # pixels are coarse
    np.testing.assert_allclose(record.colors / 255, np.broadcast_to(color, (len(points), 3)), atol=1 / 255)
    assert record.captions == ("box/003", "thing")
    assert len(record.views) == CONFIG.views
    camera = record.views[0].camera
    pixels, _ = camera.project(points)
    picture = record.views[0].pixels()
    shown = picture[np.clip(pixels[:, 1].astype(int), 0, 23), np.clip(pixels[:, 0].astype(int), 0, 23), 3]
    assert (shown == 255).mean() > 0.9


def test_shards_are_those_of_the_identifiers(built: Path) -> None:
    order = sorted(record_id(one.key) for one in boxes(COUNT))
    index = json.loads((built / "index.json").read_text())
    start = 0
    records = [record_id(record.key) for record in read_shards(built, shuffle=False)]
    for shard in index["shards"]:
        number = int(shard["name"][6:12])
        group = set(order[number * PER_SHARD : (number + 1) * PER_SHARD])
        assert set(records[start : start + shard["records"]]) <= group
        start += shard["records"]
    assert start == len(records) == COUNT
    assert records == sorted(records)


def test_neither_workers_nor_order_nor_work_folder_change_a_byte(built: Path, tmp_path: Path) -> None:
    shuffled = boxes(COUNT)
    random.Random(0).shuffle(shuffled)
    build(tmp_path / "a", shuffled, workers=3, work=tmp_path / "work")
    assert content(tmp_path / "a") == content(built)
    assert not (tmp_path / "work").exists()


def killed_at(out: Path, seconds: float) -> bool:
    """Begin or resume a build in a process that is killed after so long; whether it was done by then."""
    child = os.fork()
    if child == 0:
        try:
            build(out, workers=2, resume=True)
        finally:
            os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.WIFEXITED(os.waitpid(child, 0)[1])


@pytest.mark.slow
def test_kill_9_at_any_moment_and_resume(built: Path, tmp_path: Path) -> None:
    draw = random.Random(0)
    start = time.perf_counter()
    build(tmp_path / "timed", workers=2)
    longest = 0.4 * (time.perf_counter() - start)
    kills = attempt = 0
    while kills < 20:
        attempt += 1
        out = tmp_path / str(attempt)
        for _ in range(8):
            if killed_at(out, draw.uniform(0, longest)):
                longest *= 0.8  # the machine is less busy than it was
                break
            kills += 1
        build(out, workers=2, resume=True)
        assert content(out) == content(built), attempt


RENDERED = """
import sys
from enpointe.data.build.build import build_shards
from enpointe.data.build.config import BuildConfig
from enpointe.data.sources.procedural import Procedural
from enpointe.render.renderers.raster import RasterRenderer
config = BuildConfig("raster", views=4, size=48, points=256)
build_shards(
    Procedural(24), sys.argv[1], RasterRenderer, config, workers=2, resume=True, per_shard=5, method="fork"
)
"""
"""A build as in earnest. benchmarks/build_kills.py does the same at full size, 20 times."""


@pytest.mark.slow
def test_kill_9_of_a_build_that_renders_and_resume(tmp_path: Path) -> None:
    pytest.importorskip("embreex")
    out, draw = tmp_path / "killed", random.Random(1)
    for after in (1, 14):
        process = subprocess.Popen([sys.executable, "-c", RENDERED, str(out)])
        while process.poll() is None and len(list(out.glob(".build/assets/*/*.json"))) < after:
            time.sleep(0.005)
        time.sleep(draw.uniform(0, 0.02))
        process.kill()
        assert process.wait() == -signal.SIGKILL
    for place in (out, tmp_path / "whole"):
        subprocess.run([sys.executable, "-c", RENDERED, str(place)], check=True)
    assert content(out) == content(tmp_path / "whole")


@pytest.mark.slow
def test_killed_between_any_two_files_and_resumed(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The moments that random kills seldom hit: a build that stops after each file that its own process writes."""
    replace_file, own_process = Path.replace, os.getpid()
    whole = content(built)
    budget = 0

    def stopping(self: Path, target: Path) -> Path:
        nonlocal budget
        if os.getpid() == own_process:
            if budget == 0:
                raise KeyboardInterrupt
            budget -= 1
        return replace_file(self, target)

    for files in range(100):
        out, budget = tmp_path / str(files), files
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", stopping)
            try:
                build(out, boxes(5), per_shard=3)
            except KeyboardInterrupt:
                pass
            else:
                break
        build(out, boxes(5), resume=True, per_shard=3)
        if files:
            assert content(out) == content(tmp_path / "0"), files
    assert 8 < files < 99
    assert content(built) == whole


@pytest.mark.slow
def test_a_worker_that_dies_stalls_or_grows_costs_its_asset_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    limits = Limits(seconds=1.5, memory=2 << 30)
    build(out, boxes(10) + troublesome(tmp_path), workers=2, limits=limits)
    failed = {line["key"]: line["reason"] for line in lines(out / "failures.jsonl")}
    assert failed.pop("crash") == "its process was ended by SIGSEGV"
    assert failed.pop("hang") == "took longer than 1.5 seconds"
    assert "memory" in str(failed.pop("glutton"))
    assert set(failed) == {"broken", "unforeseen"}
    assert {record.key for record in read_shards(out)} == {f"box/{i:03d}" for i in range(10)} | {"crash once"}


def test_no_process_outlives_its_build(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            build(tmp_path / "out", [asset("hang", troublesome(tmp_path)[-1].load)])
        finally:
            os._exit(0)
    stat = Path(f"/proc/{child}/task/{child}/children")
    if not stat.exists():
        os.kill(child, signal.SIGKILL)
        pytest.skip("children are listed by Linux only")
    deadline = time.monotonic() + 10
    while not (workers := stat.read_text().split()) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while any(alive(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert workers
    assert not any(alive(worker) for worker in workers)


def alive(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_what_may_be_resumed(built: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found a finished build"):
        build(built)
    before = content(built)
    assert build(built, resume=True).index.records == COUNT
    assert content(built) == before
    with pytest.raises(InputError, match="points 99, found one with 128"):
        build(built, config=replace(CONFIG, points=99), resume=True)
    with pytest.raises(InputError, match="assets 49, found one with 48"):
        build(built, [*boxes(COUNT), asset("new", boxes(1)[0].load)], resume=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(InputError, match=r"thesis\.txt"):
        build(tmp_path / "mine", resume=True)


def test_clouds_of_one_build_are_sampled_in_one_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path / "out", boxes(2))
    (record,) = (record for record in read_shards(tmp_path / "out") if record.key == "box/001")
    assert record.provenance["sampling"] == sampling_method()
    monkeypatch.setattr("enpointe.data.build.build.sampling_method", lambda: "dice 6.0")
    with pytest.raises(InputError, match=f"sampling dice 6.0, found one with {sampling_method()}"):
        build(tmp_path / "out", boxes(2), resume=True)


def test_without_fpsample_the_record_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fpsample", None)
    assert sampling_method() == "numpy"


def test_a_limit_takes_the_same_sample_of_any_order(tmp_path: Path) -> None:
    keys = []
    for name, assets in (("a", boxes(COUNT)), ("b", boxes(COUNT)[::-1])):
        build(tmp_path / name, assets, limit=10)
        keys.append({record.key for record in read_shards(tmp_path / name)})
    assert keys[0] == keys[1]
    assert 5 < len(keys[0]) <= 10


def test_of_two_assets_with_one_key_the_second_fails(tmp_path: Path) -> None:
    first, second, *_ = boxes(2)
    build(tmp_path / "out", [first, replace(second, key=first.key)])
    assert lines(tmp_path / "out" / "failures.jsonl") == [
        {"key": first.key, "reason": "another asset has the same key"}
    ]
    assert [record.key for record in read_shards(tmp_path / "out")] == [first.key]


@pytest.mark.slow
def test_a_folder_of_hostile_files_is_built_and_each_is_listed_with_its_reason(tmp_path: Path) -> None:
    hostile = make_hostile(tmp_path / "hostile")
    build(tmp_path / "out", Folder().open(hostile.folder), workers=2)
    failed = {str(line["key"]): str(line["reason"]) for line in lines(tmp_path / "out" / "failures.jsonl")}
    assert set(failed) == set(hostile.bad)
    wrong = {key: reason for key, reason in failed.items() if not matches(reason, hostile.bad[key])}
    assert not wrong
    dropped = {line["key"] for line in lines(tmp_path / "out" / "dropped.jsonl")}
    kept = {record.key for record in read_shards(tmp_path / "out")}
    assert kept | dropped == set(hostile.good)
    assert kept
    assert not check_shards(tmp_path / "out").damages


class NoRenderer(FakeRenderer):
    def __init__(self) -> None:
        raise DeviceError("expected a renderer, found none")


def test_a_build_without_renderer_or_assets_ends(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="found none"):
        build_shards(boxes(2), tmp_path / "out", NoRenderer, CONFIG, method="fork")
    with pytest.raises(InputError, match="expected assets"):
        build_shards([], tmp_path / "out", FakeRenderer, CONFIG)
    with pytest.raises(InputError, match="work folder"):
        build_shards(boxes(2), "memory://a/b", FakeRenderer, CONFIG)


def test_shards_go_to_other_file_systems(built: Path, tmp_path: Path) -> None:
    import fsspec

    build("memory://built/shards", work=tmp_path / "work")
    files = fsspec.filesystem("memory")
    found = {path.rsplit("/", 1)[-1]: files.cat_file(path) for path in files.ls("built/shards", detail=False)}
    assert found == content(built)
