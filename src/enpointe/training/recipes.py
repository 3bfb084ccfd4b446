"""The recipes of the embedded family: what `enpointe train` runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from enpointe.checkpoints.weights import load_into, read_weights
from enpointe.core.device import find_device, keep_freed_memory
from enpointe.core.errors import InputError
from enpointe.data.pools import pool
from enpointe.encoders.minilm import WIDTH as TEXT_WIDTH
from enpointe.nn.efficientnet import CHANNELS, STATISTICS
from enpointe.nn.joint import JointConfig
from enpointe.nn.point_transformer import PointTransformerConfig
from enpointe.nn.pointnet2 import PointNet2Config
from enpointe.nn.sight import SightSDFConfig
from enpointe.training.loop import train_task
from enpointe.training.parallel import Group, cores_for, processes
from enpointe.training.settings import Phase, Settings
from enpointe.training.task import Task
from enpointe.training.tasks.base import BaseTask
from enpointe.training.tasks.classifier import ClassifierTask
from enpointe.training.tasks.joint import JointTask
from enpointe.training.tasks.joint_images import make_looks, read_looks
from enpointe.training.tasks.sdf import SDFTask
from enpointe.training.tasks.upsampler import UpsamplerTask

BASE = PointTransformerConfig(
    width=256,
    layers=6,
    heads=4,
    output_channels=6,
    time_as_token=False,
    grids=(("text", TEXT_WIDTH),),
    position_bands=6,
    neighbours=16,
)
UPSAMPLER = PointTransformerConfig(
    width=192,
    layers=6,
    heads=3,
    input_channels=12,
    output_channels=6,
    time_as_token=False,
    low_res=True,
    position_bands=6,
)
SDF = SightSDFConfig(width=256, layers=3, nearest=16, grids=(16, 24, 40))
# Half of the paper's centres and fewer neighbours: a fifth of its work. Centres come farthest first, so that the
# first 16 in a ball of the second level are spread over it.
CLASSIFIER = PointNet2Config(classes=2, samples=(256, 64), neighbours=(16, 16))
JOINT = JointConfig(texts=TEXT_WIDTH, pictures=CHANNELS + STATISTICS, hidden=768, width=256)
LOOKS = 9_088
"""Objects that the joint model sees, two pictures of each: a quarter of an hour on a core that is idle."""

FIRST_FAMILIES = (
    "car", "truck", "motorcycle", "bicycle", "sailboat", "aeroplane", "rocket", "chair", "armchair", "table", "lamp",
    "mug", "bottle", "hammer", "tree", "mushroom", "apple", "house", "castle", "dog", "elephant", "person", "robot",
    "guitar",
)  # fmt: skip
"""What the base model learns on a plain CPU. What it can show in an hour depends on how often it sees each
family; with all of them it would know every shape a little and none well."""
TYPICAL_SHARE = 0.2
"""Of each of these families: an hour is not enough to learn its whole spread either, and what was not learned is
drawn as a blur."""


@dataclass(frozen=True)
class Recipe:
    """A task, how it is trained, and for how many minutes on a plain CPU.

    `make` is given the pool and the run's folder; `ahead`, where there is one, writes into that folder what `make`
    reads there, and goes on where it was stopped.
    """

    make: Callable[[pool.Pool, Path], Task]
    settings: Settings
    minutes: float
    ahead: Callable[[pool.Pool, Path, Callable[[str], None]], None] | None = None


RECIPES: dict[str, Recipe] = {
    # A set has no order and no fixed size: most of the learning is cheap at 128 points, the end is
    # spent at the size that will be sampled.
    "pocket-base": Recipe(
        lambda data, _: BaseTask(data, BASE, families=FIRST_FAMILIES, typical_share=TYPICAL_SHARE),
        Settings(
            (Phase(0.4, 128, 64), Phase(0.75, 256, 32), Phase(1.0, 1024, 8)),
            learning_rate=2e-3,
            optimizer="muon",
            muon_scale=4.5,
        ),
        minutes=240,
    ),
    "pocket-up": Recipe(
        lambda data, _: UpsamplerTask(data, UPSAMPLER),
        Settings((Phase(1.0, 1024, 16),), optimizer="muon"),
        minutes=45,
    ),
    "pocket-sdf": Recipe(
        lambda data, _: SDFTask(data, SDF),
        Settings((Phase(1.0, 4096, 8),), learning_rate=2e-3),
        minutes=30,
    ),
    "pocket-classifier": Recipe(
        lambda data, _: ClassifierTask(data, CLASSIFIER),
        Settings((Phase(1.0, 1024, 32),), learning_rate=2e-3, weight_decay=0.05, ema=0.995),
        minutes=30,
    ),
    "pocket-joint": Recipe(
        lambda data, run: JointTask(data, read_looks(run / "looks"), JOINT),
        Settings((Phase(1.0, 1, 512),), learning_rate=2e-3, weight_decay=0.3, ema=0.995, validate_every=0.5),
        minutes=5,
        ahead=lambda data, run, report: make_looks(data, run / "looks", LOOKS, report=report),
    ),
}
CLOUDS = 16_000
"""Objects in the pool that a recipe makes when it is given none; about 600 MB, two minutes on two cores."""


def train(
    name: str,
    *,
    run_dir: Path,
    data: Path | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    resume: bool = False,
    start: Path | None = None,
    device: str = "auto",
    n_processes: int = 1,
    report: Callable[[str], None] = print,
) -> Path:
    """Train one of the embedded models.

    Args:
        name: one of RECIPES.
        run_dir: where checkpoints, logs, pictures and weights go.
        data: a pool made by `enpointe data build`; without one it is made, once, beside the run.
        minutes, steps: the whole budget, earlier parts of a resumed run counted in; without either
            the recipe's minutes.
        resume: go on with the run that is in `run_dir`.
        start: a weight file of the same network, such as the embedded one, to start from in place of
            random weights.
        n_processes: that share every step, on a CPU; each holds the pool in its memory.

    Returns:
        Path of the best weights.

    Raises:
        InputError: no such recipe, a run that is not as `resume` says, both `resume` and `start`, or several
            processes where there are not as many cores or where the device is no CPU.
        WeightsError: `start` is damaged, or of another network.
    """
    if name not in RECIPES:
        raise InputError(f"recipe: expected one of {', '.join(RECIPES)}, found {name!r}")
    if resume and start is not None:
        raise InputError("training: expected a run to resume or weights to start from, found both")
    recipe = RECIPES[name]
    found = find_device(device)
    if n_processes != 1 and found.type != "cpu":
        raise InputError(f"processes: expected 1 on {found.type}, found {n_processes}")
    cores_for(n_processes)
    if data is None:
        data = run_dir.parent / "pool.safetensors"
        if not data.exists():
            report(f"making {CLOUDS} objects: {data}")
            data.parent.mkdir(parents=True, exist_ok=True)
            pool.build(data, n_clouds=CLOUDS)
    if minutes is None and steps is None:
        minutes = recipe.minutes
    if recipe.ahead is not None:
        recipe.ahead(pool.read(data), run_dir, report)
    work = partial(_train, name, data, start, run_dir, device=found, minutes=minutes, steps=steps, resume=resume)
    with processes(n_processes, work) as group:
        return work(group, report=report)


def _train(name: str, data: Path, start: Path | None, run_dir: Path, group: Group, **options: Any) -> Path:
    """What every process of a run does."""
    keep_freed_memory()
    task = RECIPES[name].make(pool.read(data), run_dir)
    if start is not None:
        load_into(task.network, read_weights(start), start)
        task.network.requires_grad_(True).train()
    return train_task(task, RECIPES[name].settings, run_dir, group=group, **options)
