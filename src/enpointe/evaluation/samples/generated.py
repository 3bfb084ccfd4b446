"""The clouds of a run: made, kept in a folder as they are made, and taken from there when the run goes on."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enpointe.checkpoints.embedded import embedded_path
from enpointe.checkpoints.weights import sha256
from enpointe.core.errors import InputError, MeshError, OutputError
from enpointe.core.files import replacing
from enpointe.core.progress import ProgressCallback, no_progress
from enpointe.evaluation.samples.sample import Failure, Sample, SampleSet
from enpointe.io.sample_folder import SampleFolder
from enpointe.pipelines.base import Pipeline

SETTINGS, SAMPLES = "settings.json", "samples"

Pair = tuple[str, int]
"""A prompt and a seed."""


@dataclass(frozen=True)
class Making:
    """How clouds are made; None stands for the model's own value.

    Attributes:
        grid: of the mesh; None makes none.
    """

    n_points: int = 4096
    steps: int | None = None
    guidance: float | None = None
    sampler: str | None = None
    grid: int | None = 128


class GeneratedSamples(SampleSet):
    """The clouds of pairs of prompt and seed in a run's folder, made before they are read.

    One folder a sample, as `generate` makes them, its meta.json written last: a sample is there when that is.
    """

    def __init__(self, folder: Path, pairs: Sequence[Pair]) -> None:
        super().__init__("generated", "generated", None)
        self._folder, self._pairs = folder, list(pairs)

    def _size(self) -> int:
        return len(self._pairs)

    def _samples(self, only: set[str] | None = None) -> Iterator[Sample]:
        for pair in self._pairs:
            name = sample_name(*pair)
            if only is not None and name not in only:
                continue
            try:
                sample = _read(SampleFolder(self._folder / SAMPLES / name), name, pair)
            except (InputError, OSError, ValueError, KeyError) as error:
                self.failures.append(Failure(name, str(error)))
                continue
            if sample.mesh is None and "mesh" in (sample.seconds or {}):
                self.failures.append(Failure(name, "its mesh: the network saw no closed surface"))
            if self._sound(sample):
                yield sample


def sample_name(prompt: str, seed: int) -> str:
    """A folder's name: words to recognise it by, and digits that keep different prompts apart."""
    words = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:40]
    return f"{words}-{hashlib.sha256(prompt.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}-{seed}"


def make_samples(
    pipeline: Pipeline,
    pairs: Sequence[Pair],
    making: Making,
    folder: Path,
    *,
    preset: str = "fast",
    weights: Path | None = None,
    progress: ProgressCallback = no_progress,
    say: Callable[[str], None] = lambda line: None,
) -> GeneratedSamples:
    """Make those of the pairs that the folder does not hold yet.

    Args:
        pairs: all different.
        folder: of the run; it is made where it is not there.
        preset, weights: what the pipeline was loaded with.
        progress: of the pipeline.
        say: told in a line each how many are there already, and after the first how long the others may take.

    Raises:
        InputError: the folder holds clouds that were made otherwise, or is none.
        OutputError: it cannot be written to.
    """
    settings = _settings(pipeline, making, preset, weights)
    _claim(folder, settings)
    missing = [pair for pair in pairs if not SampleFolder(folder / SAMPLES / sample_name(*pair)).is_complete]
    if len(missing) < len(pairs):
        say(f"{len(pairs) - len(missing)} of {len(pairs)} clouds are in {folder} already")
    done = 0
    while done < len(missing):
        # The first alone: it tells how long the others take.
        part = missing[done : done + (pipeline.batch if done else 1)]
        seconds = _make(pipeline, part, making, folder, progress)
        if not done and len(missing) > 1:
            left = seconds * (len(missing) - 1)
            say(f"{len(missing) - 1} clouds to go, about {in_words(left)}; stopped, the same command goes on")
        done += len(part)
    return GeneratedSamples(folder, pairs)


def in_words(seconds: float) -> str:
    """A duration for people: "40 s", "12 min", "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _make(pipeline: Pipeline, pairs: Sequence[Pair], making: Making, folder: Path, progress: ProgressCallback) -> float:
    """Make these and keep them; the seconds that each took, without what was loaded first."""
    total = 0.0
    takes_text = any(text for text, _ in pairs)
    settings: dict[str, Any] = {
        "n_points": making.n_points,
        "steps": making.steps,
        "guidance_scale": making.guidance,
        "sampler": making.sampler,
        "progress": progress,
    }
    texts, seeds = [text for text, _ in pairs], [seed for _, seed in pairs]
    results = (
        pipeline.generate(texts, seed=seeds, **settings) if takes_text else pipeline.generate(seed=seeds, **settings)
    )
    for (text, seed), result in zip(pairs, results, strict=True):
        meta: dict[str, Any] = {**result.meta, "prompt": text}
        mesh = None
        if making.grid is not None:
            began = time.perf_counter()
            with suppress(MeshError):  # what has no surface counts as a failure when it is read
                mesh = pipeline.mesh(result.cloud, grid_size=making.grid, progress=progress)
            meta["seconds"] = {**meta["seconds"], "mesh": round(time.perf_counter() - began, 3)}
        total += sum(seconds for stage, seconds in meta["seconds"].items() if stage != "load")
        SampleFolder(folder / SAMPLES / sample_name(text, seed)).write(result.cloud, mesh, meta)
    return total / len(pairs)


def _read(folder: SampleFolder, name: str, pair: Pair) -> Sample:
    return Sample(name, folder.cloud(), pair[0], pair[1], folder.mesh(), dict(folder.meta()["seconds"]))


def _settings(pipeline: Pipeline, making: Making, preset: str, weights: Path | None) -> dict[str, Any]:
    """All that decides what a pair becomes."""
    files = {}
    if pipeline.name == "pocket":
        members = ["base", *(["up"] if making.n_points > 1024 else []), *(["sdf"] if making.grid is not None else [])]
        files = {member: sha256(embedded_path(member)) for member in members if embedded_path(member).is_file()}
    if weights is not None:
        files["base"] = sha256(weights)
    return {
        "model": pipeline.name,
        "preset": preset,
        "n_points": making.n_points,
        "steps": making.steps,
        "guidance": making.guidance,
        "sampler": making.sampler,
        "grid": making.grid,
        "device": pipeline.device.type,
        "weights": files,
    }


def _claim(folder: Path, settings: Mapping[str, Any]) -> None:
    """The folder as this run's own."""
    path = folder / SETTINGS
    if not path.is_file():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder}: expected a folder of an earlier evaluation, or a new one; found another")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write to {folder}: {error.strerror or error}") from error
        write_json(path, settings)
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected the settings of an evaluation, found: {error}") from None
    other = [name for name in settings if not isinstance(found, dict) or found.get(name) != settings[name]]
    if other:
        name = other[0]
        was = found.get(name) if isinstance(found, dict) else found
        raise InputError(
            f"{folder}: expected the settings that its clouds were made with ({name}: {_short(was)}), found "
            f"{name}: {_short(settings[name])}; choose another folder with --out"
        )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else text[:117] + "..."


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """A JSON file of sorted keys, whole or not at all."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    with replacing(path) as file:
        file.write(f"{text}\n".encode("utf-8", "backslashreplace"))
