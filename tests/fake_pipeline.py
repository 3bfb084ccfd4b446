"""A pipeline that keeps the contract and knows spheres only, in no time and without weights."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from enpointe.checkpoints.registry import ModelSpec, generator
from enpointe.core.checks import USUAL_POINTS, whole
from enpointe.core.errors import DeviceError, InputError, MeshError
from enpointe.core.progress import Progress, ProgressCallback, shown
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.pipelines.base import Drawn, Pipeline, Request, Settings

CPU = torch.device("cpu")


def ball(n_points: int, seed: int) -> PointCloud:
    """Points on a sphere of diameter 1, colored by their places."""
    points = np.random.default_rng(seed).normal(size=(n_points, 3))
    points /= 2 * np.linalg.norm(points, axis=1, keepdims=True)
    return PointCloud(points.astype(np.float32), (points + 0.5).clip(0, 1).astype(np.float32))


class FakePipeline(Pipeline):
    """The prompt says how it behaves: "slow" reports progress and then waits, "far" warns; fewer than 100 points have
    no surface.

    Attributes:
        calls: the requests and settings of every call of `generate`.
        grids: the grid sizes of every call of `mesh`.
    """

    def __init__(self, spec: ModelSpec, device: torch.device = CPU, preset: str | None = None, **options: Any) -> None:
        super().__init__(spec, device, preset, **options)
        self.calls: list[tuple[list[Request], Settings]] = []
        self.grids: list[int] = []

    @property
    def hashes(self) -> dict[str, str]:
        return {"base": "0" * 64}

    @property
    def samplers(self) -> tuple[str, ...]:
        return ("heun", "dpmpp")

    @property
    def defaults(self) -> Settings:
        return Settings(USUAL_POINTS, steps=2, guidance_scale=1.0, sampler="heun")

    def prompt_warnings(self, prompt: str) -> list[str]:
        return ["nearest known nouns: ball"] if "far" in prompt else []

    def upsample(
        self, cloud: PointCloud, *, n_points: int = 4096, seed: int = 0, progress: bool | ProgressCallback = True
    ) -> PointCloud:
        return ball(whole("n_points", n_points, len(cloud), 65_536), seed)

    def mesh(
        self,
        cloud: PointCloud,
        *,
        grid_size: int = 128,
        keep_small_pieces: bool = False,
        dense: bool = False,
        progress: bool | ProgressCallback = True,
    ) -> Mesh:
        self.grids.append(grid_size)
        if len(cloud) < 100:
            raise MeshError("no surface:\n expected the field to change its sign, found none")
        corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float32)
        faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
        with shown(progress) as report:
            report(Progress("mesh", 1, 1))
        return Mesh(corners, faces, np.full((4, 3), 0.5, dtype=np.float32))

    def _prepare(self, requests: Sequence[Request], settings: Settings, report: ProgressCallback) -> None:
        self.calls.append((list(requests), settings))

    def _generate(self, requests: Sequence[Request], settings: Settings, report: ProgressCallback) -> Drawn:
        report(Progress("cloud", 1, 2))
        if requests[0].prompt == "slow":
            print("started", file=sys.stderr, flush=True)
            time.sleep(60)
        clouds = [self._cloud(request, settings.n_points) for request in requests]
        return Drawn(clouds, {}, {"cloud": 0.1 * len(requests), "upsample": 0.0})

    def _cloud(self, request: Request, n_points: int) -> PointCloud:
        return ball(n_points, request.seed)

    def _reset(self) -> None:
        pass


class FakeLoad:
    """In place of `enpointe.load`.

    Attributes:
        loaded: name and options of every call.
        pipelines: what the calls gave.
    """

    def __init__(self, cls: type[FakePipeline] = FakePipeline) -> None:
        self._cls = cls
        self.loaded: list[tuple[str, dict[str, Any]]] = []
        self.pipelines: list[FakePipeline] = []

    def __call__(
        self,
        name: str = "pocket",
        *,
        device: str = "auto",
        preset: str | None = None,
        dtype: str | torch.dtype | None = None,
        weights: str | Path | None = None,
    ) -> FakePipeline:
        options = {"device": device, "preset": preset, "dtype": dtype, "weights": weights}
        self.loaded.append((name, options))
        spec = generator(name)
        if preset is not None and preset not in spec.presets:
            raise InputError(f"preset of {name}: expected one of {', '.join(spec.presets)}, found {preset!r}")
        if device == "cuda":
            raise DeviceError("expected a CUDA device, found none")
        self.pipelines.append(self._cls(replace(spec), preset=preset))
        return self.pipelines[-1]
