"""A build on a Ray cluster: load, render and fuse as the stages of a Ray Data job, on all of its machines.

An actor of a stage has a process of its own that does the work, supervised like a worker of a local build: what an
asset does ends that process, never the actor. What a lost machine had begun Ray has done again elsewhere.
"""

from __future__ import annotations

import logging
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from enpointe.core.errors import EnpointeError, InputError
from enpointe.data.assets import Asset
from enpointe.data.build.build import ConvertAssets
from enpointe.data.build.config import BuildConfig
from enpointe.data.build.convert import Converted, OpenRenderer, failure
from enpointe.data.build.outcomes import Outcome
from enpointe.data.build.steps import RENDER, STEPS, local_version, open_step, pack, unpack
from enpointe.data.build.workers import JobFailure, JobRunner, Limits

CONNECT_SECONDS = 60.0
_RESERVED = 0.1
"""Of a processor, for each actor. With what the others of its machine have it comes to a fifth, so that the actors of
lost machines find room on those that are left; a stage whose actor finds none would wait for one for ever."""
_TOGETHER = 16
"""Assets that pass through the stages together, at most: Ray has work with each group."""
_PROBE = "import ray, sys; ray.init(sys.argv[1], log_to_driver=False, logging_level='ERROR')"


@contextmanager
def on_ray(address: str) -> Iterator[ConvertAssets]:
    """Opens what converts assets on a cluster, for `build_shards`; outcomes come in the order in which they end.

    Sources are read on every machine of the cluster, so paths must be absolute, and lead to the same files
    there; so must enpointe be installed there, with the renderer.

    Args:
        address: "auto", or "HOST:PORT" of the cluster's head; this machine must be one of the cluster's.

    Raises:
        InputError: Ray is not installed, or the cluster cannot be reached; later, that it fails.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns of GPUs that are not used
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError('expected Ray for --ray, found none; install it with pip install "enpointe[ray]"') from error
    _probe(address)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        with _quiet():
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{address}: expected a Ray cluster, found: {_last_line(error)}") from error
    try:
        yield partial(_convert_all, address)
    finally:
        ray.shutdown()


@contextmanager
def _quiet() -> Iterator[None]:
    """Ray's own threads write to the file itself, such as the level of logging that was set."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _probe(address: str) -> None:
    """Connect in another process first: where nobody answers, Ray may wait for minutes, or end the process."""
    try:
        subprocess.run(
            [sys.executable, "-c", _PROBE, address], check=True, capture_output=True, text=True, timeout=CONNECT_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        found = f"no answer in {CONNECT_SECONDS:.0f} seconds"
        raise InputError(f"{address}: expected a Ray cluster, found {found}") from error
    except subprocess.CalledProcessError as error:
        raise InputError(f"{address}: expected a Ray cluster, found: {_last_line(error.stderr)}") from error


def _convert_all(
    address: str, assets: Sequence[Asset], open_renderer: OpenRenderer, config: BuildConfig, limits: Limits
) -> Iterator[Converted]:
    """Each asset's outcome, and its record if it is kept. Raises what `on_ray` and `convert_asset` do."""
    import ray

    if not assets:
        return
    try:
        for table in _pipeline(address, assets, open_renderer, config, limits).iter_batches(
            batch_size=None, batch_format="pyarrow", prefetch_batches=0
        ):
            for row in table.to_pylist():
                outcome = unpack(row["outcome"])
                if isinstance(outcome, EnpointeError):
                    raise outcome
                yield outcome, row["state"] or None
    except ray.exceptions.RayError as error:
        raise InputError(f"{address}: expected a cluster that does the work, found: {_last_line(error)}") from error


def _pipeline(
    address: str, assets: Sequence[Asset], open_renderer: OpenRenderer, config: BuildConfig, limits: Limits
) -> Any:
    """The Ray Data job; its rows are those that `_Stage` makes."""
    import ray

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = None  # a group that is made again must come out in as many blocks as before
    processors = int(ray.cluster_resources().get("CPU", 0))
    if not processors:
        raise InputError(f"{address}: expected a Ray cluster with processors, found none")
    groups = math.ceil(len(assets) / max(1, min(_TOGETHER, len(assets) // (8 * processors))))
    rows = [{"asset": pack(asset), "state": b"", "outcome": b""} for asset in assets]
    data = ray.data.from_items(rows, override_num_blocks=groups)
    for step in STEPS:
        most = processors if step == RENDER else math.ceil(processors / 2)
        data = data.map_batches(
            _StepActor,
            fn_constructor_args=(step, open_renderer, config, local_version(), limits),
            batch_size=None,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=min(most, groups), max_tasks_in_flight_per_actor=2),
            num_cpus=_RESERVED,
        )
    return data


class _StepActor:
    """An actor that does one step of each asset that comes.

    Rows have an asset and the state that the last step left it in, each as bytes, and an outcome, empty until it
    is known; then the state is the record. An outcome that is an EnpointeError ends the build.
    """

    def __init__(
        self, step: str, open_renderer: OpenRenderer, config: BuildConfig, version: str, limits: Limits
    ) -> None:
        vars(sys.modules["__main__"]).pop("__file__", None)  # Ray's own program, which the process would import first
        opened = partial(open_step, step, open_renderer, config, version, _scratch())
        self.process: JobRunner[bytes, bytes | Converted | JobFailure] = JobRunner(opened, limits, b"")

    def __call__(self, table: Any) -> Any:
        import pyarrow as pa

        rows = [row if row["outcome"] else self._row(row["asset"], row["state"]) for row in table.to_pylist()]
        names = ("asset", "state", "outcome")
        return pa.table({name: pa.array([row[name] for row in rows], pa.large_binary()) for name in names})

    def _row(self, asset: bytes, state: bytes) -> dict[str, bytes]:
        outcome: Outcome | EnpointeError | None = None
        record: bytes | None = None
        try:
            ended = self.process.run(state or asset)
        except EnpointeError as error:
            outcome = type(error)(f"on {platform.node()}: {error}")
        else:
            if isinstance(ended, bytes):
                return {"asset": asset, "state": ended, "outcome": b""}
            outcome, record = (failure(unpack(asset), ended.reason), None) if isinstance(ended, JobFailure) else ended
        return {"asset": b"", "state": record or b"", "outcome": pack(outcome)}


def _scratch() -> Path:
    """A folder for this process. Ray ends actors abruptly: the folders of processes that are gone are removed."""
    prefix = "enpointe-ray-"
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        try:
            os.kill(int(left.name.removeprefix(prefix).split("-")[0]), 0)
        except ProcessLookupError:
            shutil.rmtree(left, ignore_errors=True)
        except (OSError, ValueError):  # another user's, or nobody's that is known here
            continue
    return Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-"))


def _last_line(error: object) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
