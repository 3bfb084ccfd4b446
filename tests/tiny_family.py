"""A family of tiny networks in a folder of its own, and closed shapes to try them on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from enpointe.checkpoints.registry import MODELS
from enpointe.checkpoints.weights import save_weights
from enpointe.geometry.point_cloud import PointCloud
from enpointe.nn.detail import DetailConfig
from enpointe.nn.layout import LayoutConfig
from enpointe.nn.point_transformer import PointTransformerConfig
from enpointe.nn.sight import SightSDF, SightSDFConfig, nearest_offsets
from enpointe.pipelines.families.pocket import members
from enpointe.pipelines.families.pocket.base_stage import Preset
from enpointe.pipelines.families.pocket.pipeline import PocketPipeline

Floats = NDArray[np.float32]

BASE = PointTransformerConfig(
    width=32, layers=1, heads=2, output_channels=6, time_as_token=False, grids=(("text", 384),), position_bands=2
)
LAYOUT = LayoutConfig(width=32, layers=2, heads=2)
DETAIL = DetailConfig(width=32, layers=2, heads=2, coarse_width=32, coarse_layers=1, coarse_heads=2)
UP = PointTransformerConfig(
    width=32, layers=1, heads=2, input_channels=12, output_channels=6, time_as_token=False, low_res=True
)
SDF = SightSDFConfig(width=32, layers=2, nearest=4, grids=(8,))
CELL = {"anchors": 64, "context": 128, "children": 3}

HALF_AXIS, RADIUS = 0.2, 0.3
"""A capsule along x, whose longest side is 1."""


def capsule_distance(points: Floats) -> Floats:
    """Points (n, 3) -> exact signed distances (n,), positive inside."""
    return (RADIUS - np.linalg.norm(points - _on_axis(points), axis=1)).astype(np.float32)


def capsule_cloud(n: int, seed: int = 0) -> PointCloud:
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 0.3, (n, 3)).astype(np.float32)
    # The ends of the axes belong to the cloud, so that its frame is exactly the unit frame.
    ends = [[0.5, 0, 0], [-0.5, 0, 0], [0, 0.3, 0], [0, -0.3, 0], [0, 0, 0.3], [0, 0, -0.3]]
    points[:6] = ends
    away = points - _on_axis(points)
    points = _on_axis(points) + RADIUS * away / np.linalg.norm(away, axis=1, keepdims=True)
    points[:6] = ends
    return PointCloud(points, points + np.float32(0.5))


def _on_axis(points: Floats) -> Floats:
    axis = np.zeros_like(points)
    axis[:, 0] = points[:, 0].clip(-HALF_AXIS, HALF_AXIS)
    return axis


@pytest.fixture
def capsule() -> Callable[..., PointCloud]:
    return capsule_cloud


@pytest.fixture
def distance() -> Callable[[Floats], Floats]:
    return capsule_distance


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pocket-base, pocket-layout, pocket-detail and pocket-up with random weights."""
    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    for name, config, more in (
        ("base", BASE, {"text_tokens": 8, "nouns": ["car", "chair", "dog", "tree"]}),
        ("layout", LAYOUT, {"text_tokens": 8, "nouns": ["car", "cat", "dog", "palm tree", "tree"]}),
        ("detail", DETAIL, {}),
        ("up", UP, {"cell": CELL}),
    ):
        network = config.build()
        output = network.get_submodule("output" if name in ("layout", "detail") else "output_proj")
        torch.nn.init.normal_(output.get_parameter("weight"), std=0.15)  # zero at first: nothing would matter
        info = {**config.described(), **more}
        save_weights(folder / f"pocket-{name}.safetensors", network.state_dict(), info, "float32")
    return folder


@pytest.fixture(scope="session")
def tiny_sdf(tiny_folder: Path) -> SightSDF:
    """The family's pocket-sdf, trained for a second or two on the capsule."""
    sdf = SDF.build()
    optimizer = torch.optim.Adam(sdf.parameters(), lr=4e-3)
    rng = np.random.default_rng(0)
    for step in range(220):
        for group in optimizer.param_groups:
            group["lr"] = 4e-3 * (1 - step / 220)
        points = torch.from_numpy(capsule_cloud(64, step).points.T)[None]
        queries = rng.uniform(-0.52, 0.52, (512, 3)).astype(np.float32)
        asked = torch.from_numpy(queries.T)[None]
        predicted = sdf.decode(sdf.encode(points), asked, nearest_offsets(points, asked, sdf.nearest))[0]
        loss = (predicted - torch.from_numpy(capsule_distance(queries))).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    save_weights(tiny_folder / "pocket-sdf.safetensors", sdf.state_dict(), SDF.described(), "float32")
    return sdf.requires_grad_(False).eval()


@pytest.fixture
def use_folder(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Makes the pipeline read the family from another folder."""

    def use(folder: Path) -> None:
        monkeypatch.setattr(members, "embedded_path", lambda member: folder / f"pocket-{member}.safetensors")

    return use


@pytest.fixture
def tiny(tiny_folder: Path, use_folder: Callable[[Path], None]) -> Callable[..., PocketPipeline]:
    """Makes pipelines of the tiny family on the CPU; arguments as `PocketPipeline`'s."""
    use_folder(tiny_folder)

    def make(batch: int | None = None, dtype: torch.dtype | None = None) -> PocketPipeline:
        few = Preset(steps=3, upsample_steps=2)
        return PocketPipeline(MODELS["pocket"], torch.device("cpu"), sampling=few, batch=batch, dtype=dtype)

    return make
