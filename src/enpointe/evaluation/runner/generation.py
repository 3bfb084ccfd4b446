"""The clouds of a run: generated into its folder, and found there when the run goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from enpointe.checkpoints.weights import sha256
from enpointe.core.checks import USUAL_POINTS
from enpointe.core.errors import InputError, MeshError
from enpointe.core.files import writing
from enpointe.core.precision import dtype_name
from enpointe.core.progress import ProgressCallback, no_progress
from enpointe.evaluation.files import write_json
from enpointe.evaluation.samples.generated import GeneratedSamples, Pair, sample_folder
from enpointe.evaluation.text import count, duration
from enpointe.pipelines.base import Pipeline

SETTINGS = "settings.json"

Log = Callable[[str], None]
"""Takes a line for people."""


@dataclass(frozen=True)
class Generation:
    """How clouds are generated; None stands for the model's own value.

    Attributes:
        grid_size: of the mesh; None makes none.
    """

    n_points: int = USUAL_POINTS
    steps: int | None = None
    guidance_scale: float | None = None
    sampler: str | None = None
    grid_size: int | None = 128


def generate_samples(
    pipeline: Pipeline,
    pairs: Sequence[Pair],
    generation: Generation,
    folder: Path,
    *,
    weights: Path | None = None,
    progress: ProgressCallback = no_progress,
    log: Log = lambda line: None,
) -> tuple[GeneratedSamples, dict[str, Any]]:
    """Generates those of the pairs that the folder does not hold yet.

    Args:
        pairs: all different.
        folder: of the run; it is created if there is none.
        weights: another file of the base network that the pipeline was loaded with.
        progress: of the pipeline.
        log: gets a line with how many are there already, and after the first one with how long the others may take.

    Returns:
        The samples, and all that decided what they became.

    Raises:
        InputError: the folder holds clouds that were generated with other settings, or is none.
        OutputError: it cannot be written to.
    """
    settings = _settings(pipeline, generation, weights)
    _claim(folder, settings)
    missing = [pair for pair in pairs if not sample_folder(folder, pair).is_complete]
    if len(missing) < len(pairs):
        log(f"{len(pairs) - len(missing)} of {count(len(pairs), 'cloud')} are in {folder} already")
    done = 0
    while done < len(missing):
        # The first alone: it tells how long the others take.
        part = missing[done : done + (pipeline.batch if done else 1)]
        seconds = _generate(pipeline, part, generation, folder, progress)
        if not done and len(missing) > 1:
            left = len(missing) - 1
            log(f"{count(left, 'cloud')} to go, about {duration(seconds * left)}; stopped, the same command goes on")
        done += len(part)
    return GeneratedSamples(folder, pairs), settings


def _generate(
    pipeline: Pipeline, pairs: Sequence[Pair], generation: Generation, folder: Path, progress: ProgressCallback
) -> float:
    """Generates these and keeps them; the seconds that each took, without what was loaded first."""
    total = 0.0
    prompts = [text for text, _ in pairs] if any(text for text, _ in pairs) else None
    results = pipeline.generate(
        prompts,
        seed=[seed for _, seed in pairs],
        n_points=generation.n_points,
        steps=generation.steps,
        guidance_scale=generation.guidance_scale,
        sampler=generation.sampler,
        progress=progress,
    )
    for (text, seed), result in zip(pairs, results, strict=True):
        meta: dict[str, Any] = {**result.meta, "prompt": text}
        mesh = None
        if generation.grid_size is not None:
            began = time.perf_counter()
            with suppress(MeshError):  # what has no surface counts as a failure when it is read
                mesh = pipeline.mesh(result.cloud, grid_size=generation.grid_size, progress=progress)
            meta["seconds"] = {**meta["seconds"], "mesh": round(time.perf_counter() - began, 3)}
        total += sum(seconds for stage, seconds in meta["seconds"].items() if stage != "load")
        sample_folder(folder, (text, seed)).write(result.cloud, mesh, meta)
    return total / len(pairs)


def _settings(pipeline: Pipeline, generation: Generation, weights: Path | None) -> dict[str, Any]:
    """All that decides what a pair becomes."""
    files = [path for path in (*pipeline.spec.paths, weights) if path is not None and path.is_file()]
    return {
        "model": pipeline.name,
        "preset": pipeline.preset,
        **asdict(generation),
        "device": pipeline.device.type,
        "dtype": dtype_name(pipeline.dtype),
        "weights": {path.name: sha256(path) for path in files},
    }


def _claim(folder: Path, settings: Mapping[str, Any]) -> None:
    """The folder as this run's own."""
    path = folder / SETTINGS
    if not path.is_file():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder}: expected a folder of an earlier evaluation, or a new one; found another")
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_json(path, settings)
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected the settings of an evaluation, found: {error}") from None
    found = found if isinstance(found, dict) else {}
    name = next((name for name in settings if found.get(name) != settings[name]), None)
    if name is not None:
        raise InputError(
            f"{folder}: expected the settings that its clouds were generated with ({name}: "
            f"{_short(found.get(name))}), found {name}: {_short(settings[name])}; choose another folder with --out"
        )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else text[:117] + "..."
