"""Builds on a Ray cluster of two machines, both this one: the bytes of a local build, also when one of them is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.fake_build import CONFIG, FakeRenderer, boxes, slow, troublesome
from enpointe.core.errors import InputError
from enpointe.data.assets import Asset
from enpointe.data.build import ray as ray_build
from enpointe.data.build.build import build_shards
from enpointe.data.build.convert import convert_asset
from enpointe.data.build.outcomes import FAILED, Outcome
from enpointe.data.build.ray import on_ray
from enpointe.data.build.steps import FUSE, LOAD, RENDER, STEPS, local_version, open_step, pack, unpack
from enpointe.data.build.workers import JobFailure, JobRunner, Limits
from enpointe.render.camera import random_cameras
from enpointe.render.view import View

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked here, for speed")
ROOT = Path(__file__).parents[3]
MACHINE = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_log_monitor": False}
SLOW, PER_SHARD = 12, 5
ON_RAY = f"""
import sys
from pathlib import Path
from data.fake_build import CONFIG, FakeRenderer, slow, troublesome
from enpointe.data.build.build import build_shards
from enpointe.data.build.ray import on_ray
from enpointe.data.build.workers import Limits
with on_ray(sys.argv[1]) as convert_assets:
    assets = slow({SLOW}) + troublesome(Path(sys.argv[3]))[:3]
    build_shards(assets, sys.argv[2], FakeRenderer, CONFIG, per_shard={PER_SHARD}, convert_assets=convert_assets)
"""


@pytest.fixture(autouse=True)
def _temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)  # which steps, at home in processes of their own, change


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def opened(step: str, folder: Path, version: str | None = None) -> Any:
    return open_step(step, FakeRenderer, CONFIG, version or local_version(), folder)


def in_steps(asset: Asset, folder: Path) -> object:
    state: object = pack(asset)
    for name in STEPS:
        with opened(name, folder) as work:
            if isinstance(state, bytes):
                state = work(state)
    return state


def test_three_steps_make_what_one_does(tmp_path: Path) -> None:
    for asset in boxes(2):
        assert in_steps(asset, tmp_path) == convert_asset(asset, FakeRenderer(), CONFIG), asset.key


def test_a_view_without_its_background_is_the_same_view(tmp_path: Path) -> None:
    """Random pixels, some of which differ from the background in one array only."""
    rng = np.random.default_rng(0)
    shape = (24, 24)
    depth = np.where(rng.random(shape) < 0.5, np.inf, rng.random(shape)).astype(np.float32)
    depth[0, 0] = np.nan
    color = rng.integers(0, 2, (*shape, 4), dtype=np.uint8) * (rng.random((*shape, 1)) < 0.5).astype(np.uint8)
    material = np.where(rng.random(shape) < 0.5, -1, 3).astype(np.int16)
    lit = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    view = View(random_cameras(1, rng, size=24)[0], color, depth, material, lit)

    class Random(FakeRenderer):
        def render(self, model: object, cameras: object) -> list[View]:
            return [view, View(view.camera, color.transpose(1, 0, 2), depth, material)]

    with open_step(LOAD, Random, CONFIG, local_version(), tmp_path) as work:
        loaded = work(pack(boxes(1)[0]))
        assert isinstance(loaded, bytes)
    with open_step(RENDER, Random, CONFIG, local_version(), tmp_path) as work:
        rendered = work(loaded)
        assert isinstance(rendered, bytes)
        one, other = (covered.view() for covered in unpack(rendered).views)
    for name in ("color", "depth", "material", "lit"):
        np.testing.assert_array_equal(getattr(one, name), getattr(view, name))
        assert getattr(one, name).dtype == getattr(view, name).dtype
    np.testing.assert_array_equal(other.color, color.transpose(1, 0, 2))
    assert other.lit is None


def test_another_version_is_refused_and_no_bytes_cost_nothing(tmp_path: Path) -> None:
    with opened(FUSE, tmp_path) as work:
        assert work(b"") == b""
    with pytest.raises(InputError, match=r"expected enpointe 0\.0 with"), opened(FUSE, tmp_path, "enpointe 0.0 with"):
        pass


@pytest.mark.slow
def test_a_process_for_one_job_after_another(tmp_path: Path) -> None:
    """What happens to a job, and that the next one is done all the same."""
    limits = Limits(seconds=1.0, memory=2 << 30)
    process: JobRunner[bytes, Any] = JobRunner(partial(opened, LOAD, tmp_path), limits, b"", "fork")
    good, (crash, crash_once, glutton, hang) = boxes(1)[0], troublesome(tmp_path)
    assert isinstance(process.run(pack(good)), bytes)
    assert process.run(pack(crash)) == JobFailure("its process was ended by SIGSEGV")
    assert isinstance(process.run(pack(crash_once)), bytes)
    ended = process.run(pack(glutton))
    assert isinstance(ended, tuple)
    failed, record = ended
    assert (failed.status, failed.reason, record) == (FAILED, "took more memory than it may", None)
    assert process.run(pack(hang)) == JobFailure("took longer than 1 seconds")
    assert isinstance(process.run(pack(good)), bytes)
    with pytest.raises(InputError, match="expected wrong"):
        JobRunner(partial(opened, LOAD, tmp_path, "wrong"), limits, b"", "fork").run(pack(good))


def test_a_build_led_here_is_killed_and_resumed(tmp_path: Path) -> None:
    """The outcomes come from elsewhere, in any order; those that came before the end are not converted again."""
    assets = boxes(6)
    build_shards(assets, tmp_path / "here", FakeRenderer, CONFIG, per_shard=PER_SHARD, method="fork")
    todo_counts: list[int] = []

    def elsewhere(todo: Any, open_renderer: Any, config: Any, limits: Any) -> Iterator[tuple[Outcome, bytes | None]]:
        todo_counts.append(len(todo))
        for number, asset in enumerate(reversed(todo)):
            if number == 4 and len(todo_counts) == 1:
                raise KeyboardInterrupt
            yield convert_asset(asset, FakeRenderer(), config)

    options: dict[str, Any] = {"per_shard": PER_SHARD, "convert_assets": elsewhere}
    with pytest.raises(KeyboardInterrupt):
        build_shards(assets, tmp_path / "there", FakeRenderer, CONFIG, **options)
    build_shards(assets, tmp_path / "there", FakeRenderer, CONFIG, resume=True, **options)
    assert todo_counts == [len(assets), len(assets) - 4]
    assert content(tmp_path / "there") == content(tmp_path / "here")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two machines of a processor each. The one that leads is told of a lost one within seconds."""
    pytest.importorskip("ray", reason="needs ray (the extra of that name)")
    # Not pytest's folder, nor the one of TMPDIR: the names of sockets in it may have 107 bytes.
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder,
    ):
        for name, value in {
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")]),  # what assets here are made of
            "RAY_TMPDIR": folder,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_worker_niceness": "0",  # else all else on this machine goes first
            "RAY_health_check_initial_delay_ms": "1000",
            "RAY_health_check_period_ms": "500",
        }.items():
            patch.setenv(name, value)
        from ray.cluster_utils import Cluster

        sessions = Path(folder, "ray")  # where Cluster, before it starts anything, writes the address
        sessions.mkdir()
        leading = {**MACHINE, "include_dashboard": False, "temp_dir": str(sessions)}
        cluster = Cluster(initialize_head=True, head_node_args=leading)
        try:
            yield cluster
        finally:
            cluster.shutdown()


def second_machine(cluster: Any) -> Any:
    if cluster.worker_nodes:
        return next(iter(cluster.worker_nodes))
    node = cluster.add_node(**MACHINE)
    cluster.wait_for_nodes()
    return node


def lines(path: Path) -> dict[str, str]:
    read = (json.loads(line) for line in path.read_text().splitlines())
    return {line["key"]: line["reason"] for line in read}


@pytest.mark.slow
def test_the_command_builds_on_two_machines_what_one_builds(cluster: Any, tmp_path: Path) -> None:
    second_machine(cluster)
    models = tmp_path / "models"
    models.mkdir()
    for number in range(12):
        x, y = 0.3 + 0.05 * number, 1.1 - 0.07 * number
        corners = [(0, 0, 0), (x, 0, 0), (0, y, 0), (0, 0, 1)]
        faces = "f 1 3 2\nf 1 2 4\nf 2 3 4\nf 1 4 3\n"
        (models / f"tent {number}.obj").write_text("".join(f"v {a} {b} {c}\n" for a, b, c in corners) + faces)
    (models / "broken.ply").write_bytes(b"ply\nformat")
    build = [
        sys.executable, "-m", "enpointe", "data", "build", "--source", "folder", "--path", "models", "--views", "4",
        "--size", "32", "--points", "128", "--duplicate", "0.001",
    ]  # fmt: skip
    for out, where in (("there", ["--ray", cluster.address]), ("here", ["--workers", "1"])):
        done = subprocess.run(
            [*build, "--out", out, *where], cwd=tmp_path, capture_output=True, text=True, timeout=900, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "12 of 13 models" in done.stdout
        assert done.stderr.splitlines()[-1].endswith("1 of 13 models failed; see failures.jsonl")
        assert "RAY" not in done.stderr.upper(), done.stderr  # keeps quiet
    assert set(lines(tmp_path / "there" / "failures.jsonl")) == {"folder/broken.ply"}
    assert content(tmp_path / "there") == content(tmp_path / "here")


@pytest.mark.slow
def test_a_machine_is_lost_halfway(cluster: Any, tmp_path: Path) -> None:
    second = second_machine(cluster)
    for name in "here", "there":
        (tmp_path / name).mkdir()
    assets = slow(SLOW) + troublesome(tmp_path / "here")[:3]
    here, there = tmp_path / "here" / "out", tmp_path / "there" / "out"
    build_shards(assets, here, FakeRenderer, CONFIG, per_shard=PER_SHARD, workers=4, method="fork")
    command = [sys.executable, "-c", ON_RAY, cluster.address, str(there), str(tmp_path / "there")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as lead:
        deadline = time.monotonic() + 900
        while len(list(there.glob(".build/assets/*/*.json"))) < 3 and lead.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert lead.poll() is None, "over before anything was lost"
        cluster.remove_node(second, allow_graceful=False)
        left = len(list(there.glob(".build/assets/*/*.json")))
        _, said = lead.communicate(timeout=900)
    assert left < len(assets) - 3
    assert lead.returncode == 0, said
    assert content(there) == content(here)
    assert lines(there / "failures.jsonl") == {
        "broken": "expected a model, found nonsense",
        "crash": f"its process was ended by {signal.SIGSEGV.name}",
        "glutton": "took more memory than it may",
    }


def test_folders_of_processes_that_are_gone_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    kept = {f"enpointe-ray-{os.getpid()}-a", "enpointe-ray-b", "enpointe-c"}
    for name in {*kept, f"enpointe-ray-{gone.pid}-a"}:
        (tmp_path / name / "inside").mkdir(parents=True)
    scratch = ray_build._scratch()
    assert {path.name for path in tmp_path.iterdir()} == {*kept, scratch.name}


@pytest.mark.slow
def test_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="needs ray (the extra of that name)")
    with pytest.raises(InputError, match=r"nonsense: expected a Ray cluster, found: .*[Ii]nvalid"), on_ray("nonsense"):
        pytest.fail("connected to nonsense")
    monkeypatch.setattr(ray_build, "CONNECT_SECONDS", 4.0)
    nobody = "127.0.0.1:9"
    with pytest.raises(InputError, match=r"9: expected a Ray cluster, found no answer in 4 seconds"), on_ray(nobody):
        pytest.fail("connected to nobody")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"enpointe\[ray\]"), on_ray("auto"):
        pytest.fail("connected without Ray")
