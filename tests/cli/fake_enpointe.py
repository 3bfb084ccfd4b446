"""`enpointe` with a pipeline that knows spheres only: run as a script in place of the command.

The prompt says how it behaves: "slow" reports progress and then waits, "no surface" raises MeshError, "far" warns.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

import enpointe
from enpointe.cli import main
from enpointe.core.errors import DeviceError, InputError, MeshError
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud


def ball(n_points: int, seed: int) -> PointCloud:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n_points, 3))
    points /= 2 * np.linalg.norm(points, axis=1, keepdims=True)
    return PointCloud(points.astype(np.float32), (points + 0.5).astype(np.float32))


class FakePipeline:
    def warnings_for(self, prompt: str) -> list[str]:
        return ["nearest known nouns: ball"] if "far" in prompt else []

    def generate_many(
        self, prompts: Sequence[str], seeds: Sequence[int], *, n_points: int, progress: Callable[[Any], None], **_: Any
    ) -> list[SimpleNamespace]:
        progress(SimpleNamespace(stage="base", done=1, total=2))
        if prompts[0] == "slow":
            print("started", file=sys.stderr, flush=True)
            time.sleep(60)
        return [
            SimpleNamespace(cloud=ball(n_points, seed), seed=seed, prompt=prompt, meta={"seconds": {"base": 0.1}})
            for prompt, seed in zip(prompts, seeds, strict=True)
        ]

    def mesh(self, cloud: PointCloud, *, grid_size: int, **_: Any) -> Mesh:
        if len(cloud) < 100:
            raise MeshError("no surface:\n expected the field to change its sign, found none")
        corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float32)
        faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
        return Mesh(corners, faces, np.full((4, 3), 0.5, dtype=np.float32))

    def upsample(self, cloud: PointCloud, *, n_points: int, seed: int, **_: Any) -> PointCloud:
        return ball(n_points, seed)


def load(name: str = "pocket", *, device: str = "auto", **_: Any) -> FakePipeline:
    if name != "pocket":
        raise InputError(f"expected the model pocket, got {name!r}")
    if device == "cuda":
        raise DeviceError("expected a CUDA device, found none")
    return FakePipeline()


vars(enpointe)["load"] = load
if __name__ == "__main__":
    sys.exit(main())
