"""Seconds of the release's own way and of ours, stage by stage, on the same weights and taking turns.

What is timed are evaluations; a stage's total is theirs times how many the settings take, which are counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.plain import ReferencePoints
from benchmarks.random_weights import random_released
from enpointe.checkpoints.hub.cache import weights_path
from enpointe.checkpoints.loading import load_released
from enpointe.checkpoints.registry import generator
from enpointe.checkpoints.released import RELEASED
from enpointe.core.precision import dtype_name
from enpointe.diffusion.noise import SeededNoise
from enpointe.nn.point_transformer import PointTransformer
from enpointe.pipelines.families.point_e.conditions import GRID
from enpointe.pipelines.families.point_e.drawing import COARSE_POINTS, released_stage
from enpointe.pipelines.families.point_e.presets import PRESETS, ReleasedPreset

Job = Callable[[], object]

PRODUCT = 2048
"""Rows and columns of the matrices whose product is taken for the machine's fastest."""

WAYS = {"reference": "reference", "ours": "fast"}
"""The two that are compared, and whose settings they take."""


@dataclass(frozen=True)
class Side:
    """One way through a stage. A unit is an evaluation of a network, or a batch of queries.

    Attributes:
        seconds_each: of the most expensive unit, a guided pair where there is guidance.
        units: how many the settings take; fractions count the cheaper, unguided ones by their seconds.
        seconds: of all of them, and of what comes beside them.
        gflops: products a second in units, in GFLOP/s.
        of_peak: that by the fastest product of matrices in the same type.
    """

    seconds_each: float
    units: float
    seconds: float
    gflops: float
    of_peak: float


@dataclass(frozen=True)
class Compared:
    """A stage, both ways.

    Attributes:
        stage: such as "base40M-textvec".
        random_weights: whether the weights are random, of the true sizes.
        ran: seconds of our whole stage where it was run, else None: the totals are counted up.
    """

    stage: str
    random_weights: bool
    reference: Side
    ours: Side
    ran: float | None = None

    @property
    def times(self) -> float:
        """How many times faster ours is."""
        return self.reference.seconds / (self.ran or self.ours.seconds)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "times": self.times}


class Turns:
    """Least seconds of jobs that take turns, so that a busy minute hits each alike.

    Args:
        repeats: of each job.
        dtype: what ours computes in.
    """

    def __init__(self, repeats: int, dtype: torch.dtype = torch.bfloat16) -> None:
        self._repeats = repeats
        self.dtype = dtype
        a = torch.randn(PRODUCT, PRODUCT)
        half = a.bfloat16()
        self._work = 2 * PRODUCT**3 / 1e9
        self._products: dict[str, Job] = {"float32": lambda: a @ a, "bfloat16": lambda: half @ half}
        self.peak = dict.fromkeys(self._products, 0.0)
        for _ in range(3):
            self._measure_peak()

    @torch.no_grad()
    def __call__(self, jobs: Mapping[str, Job], *, warm: tuple[str, ...] = ()) -> dict[str, float]:
        """Seconds of each; those named in `warm` run once before. The peak is measured between them."""
        best = dict.fromkeys(jobs, float("inf"))
        for name in warm:
            jobs[name]()
        for _ in range(self._repeats):
            for name, job in jobs.items():
                self._measure_peak()
                best[name] = min(best[name], _seconds(job))
        return best

    def _measure_peak(self) -> None:
        for kind, product in self._products.items():
            self.peak[kind] = max(self.peak[kind], self._work / _seconds(product))

    def side(self, way: str, each: float, units: float, seconds: float, gflop: float) -> Side:
        """What is told of one way, by the peak of the type that it computes in; gflop: the work of one unit."""
        peak = self.peak["float32" if way == "reference" else dtype_name(self.dtype)]
        return Side(each, units, seconds, gflop / each, gflop / each / peak)


def point_gflop(network: PointTransformer, tokens: int, batch: int = 1) -> float:
    """Billions of multiplications and additions in the products of one evaluation: 24 L w^2 + 4 L^2 w a layer."""
    width, layers = network.width, len(network.backbone.resblocks)
    return batch * layers * (24 * tokens * width**2 + 4 * tokens**2 * width) / 1e9


def evaluations(name: str, preset: ReleasedPreset) -> dict[int, int]:
    """How often a stage's network is asked, by the samples in one call: 2 are a guided pair."""
    counts: dict[int, int] = {}
    sampling = preset.upsampler if name == "upsample" else preset.base

    def counting(x: Tensor, t: Tensor, **cond: Any) -> Tensor:
        counts[len(x)] = counts.get(len(x), 0) + 1
        return torch.zeros(len(x), 12, x.shape[2])

    stage = released_stage(counting, name, sampling, replace(preset, prepare=False), dtype=torch.float32).stage
    stage = replace(stage, shape=(stage.shape[0], 1))
    for _ in stage.run({"vector": torch.zeros(1, 1)}, SeededNoise([0]), n_samples=1):
        pass
    return counts


def network_of(name: str, dtype: torch.dtype = torch.float32) -> tuple[nn.Module, bool]:
    """A released network, and whether its weights are random because there are none in the cache."""
    if weights_path(name).is_file():
        return load_released(name, dtype=dtype)[0], False
    return random_released(name, dtype=dtype), True


def conditions_of(name: str, *, image: bool, n: int = 1) -> dict[str, Any]:
    """Keyword arguments as large as the true ones; zeros for the image that an upsampler of texts has not."""
    generator = torch.Generator().manual_seed(0)
    config = RELEASED[name].config
    cond: dict[str, Any] = {}
    if config.vector:
        cond["vector"] = torch.nn.functional.normalize(torch.randn(n, config.vector, generator=generator), dim=1)
    for grid, channels in config.grids:
        drawn = torch.randn(n, channels, GRID, generator=generator)
        cond["grids"] = {grid: drawn if image else torch.zeros_like(drawn)}
    if config.low_res:
        low, high = torch.tensor([-0.5] * 3 + [0.0] * 3), torch.tensor([0.5] * 3 + [255.0] * 3)
        drawn = torch.rand(n, 6, COARSE_POINTS, generator=generator)
        cond["low_res"] = low[:, None] + (high - low)[:, None] * drawn
    return cond


def compare_points(name: str, turns: Turns, *, model: str, full: bool = False) -> Compared:
    """A base model's or the upsampler's stage, by the presets of `model`.

    A guided pair of the release's upsampler counts as two single evaluations: it would take gigabytes for its scores.

    Args:
        name: of a released network, `model` itself or "upsample".
        full: also run our stage wholly.
    """
    from_image = "image" in generator(model).inputs
    counts = {way: evaluations(name, PRESETS[model][preset]) for way, preset in WAYS.items()}
    paired = [batch for batch in counts["reference"] if batch > 1 and name == "upsample"]
    (network, is_random), (ours, _) = network_of(name), network_of(name, turns.dtype)
    assert isinstance(network, PointTransformer)
    assert isinstance(ours, PointTransformer)
    plain, jobs = ReferencePoints(network), dict[str, Job]()
    for batch in counts["reference"]:
        batch = 1 if batch in paired else batch
        given = _inputs(name, batch)
        jobs[f"reference {batch}"] = partial(plain, *given, **conditions_of(name, image=from_image, n=batch))
    for batch in counts["ours"]:
        with torch.no_grad(), _computing_in(turns.dtype):
            prepared = ours.prepare(batch, **conditions_of(name, image=from_image, n=batch))
        jobs[f"ours {batch}"] = partial(_evaluate, ours, turns.dtype, *_inputs(name, batch), prepared)
    seconds = turns(jobs, warm=tuple(job for job in jobs if job.startswith("ours")))
    for batch in paired:
        seconds[f"reference {batch}"] = batch * seconds["reference 1"]
    config = RELEASED[name].config
    tokens = {"ours": RELEASED[name].n_points + _front(ours, prepared)}
    tokens["reference"] = RELEASED[name].n_points + config.time_as_token + bool(config.vector)
    tokens["reference"] += GRID * len(config.grids) + COARSE_POINTS * config.low_res

    def side(way: str) -> Side:
        each = {batch: seconds[f"{way} {batch}"] for batch in counts[way]}
        total, largest = sum(count * each[batch] for batch, count in counts[way].items()), max(each)
        return turns.side(way, each[largest], total / each[largest], total, point_gflop(network, tokens[way], largest))

    ran = _run_wholly(name, ours, turns.dtype, model, conditions_of(name, image=from_image)) if full else None
    return Compared(name, is_random, side("reference"), side("ours"), ran)


def _inputs(name: str, batch: int) -> tuple[Tensor, Tensor]:
    """Noisy points and a time."""
    points = torch.randn(batch, 6, RELEASED[name].n_points, generator=torch.Generator().manual_seed(1))
    return points, torch.full((batch,), 500.0)


def _front(network: PointTransformer, prepared: Mapping[str, Tensor]) -> int:
    front = int(network.time_as_token) + int("vector" in prepared and network.vector_as_token)
    return front + (prepared["tokens"].shape[1] if "tokens" in prepared else 0)


def _computing_in(dtype: torch.dtype) -> torch.autocast:
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)


def _evaluate(
    network: PointTransformer, dtype: torch.dtype, x: Tensor, t: Tensor, prepared: dict[str, Tensor]
) -> Tensor:
    with _computing_in(dtype):
        return network(x, t, prepared=prepared)


def _run_wholly(name: str, network: PointTransformer, dtype: torch.dtype, model: str, cond: dict[str, Any]) -> float:
    """Seconds of our whole stage, one cloud."""
    preset = PRESETS[model]["fast"]
    sampling = preset.upsampler if name == "upsample" else preset.base
    stage = released_stage(network, name, sampling, preset, dtype=dtype)
    low_res = cond.pop("low_res", None)
    began = time.perf_counter()
    for _ in stage.run(cond, SeededNoise([0]), n_samples=1, low_res=low_res):
        pass
    return time.perf_counter() - began


def _seconds(job: Job) -> float:
    began = time.perf_counter()
    job()
    return time.perf_counter() - began
