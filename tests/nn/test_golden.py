"""Networks with the release's weights give the release's outputs; its checkpoints' keys and shapes are ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from enpointe.checkpoints.adapters import to_released
from enpointe.checkpoints.released import RELEASED, RELEASED_SDF
from enpointe.nn.point_transformer import PointTransformer

pytestmark = pytest.mark.golden

Read = Callable[[str], tuple[dict[str, Tensor], dict[str, Any]]]
TOLERANCE = 2e-5


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize(
    "name", ["uncond", "uncond_time_added", "vec", "vec_added", "grid", "upsample", "upsample_plain"]
)
@torch.no_grad()
def test_point_networks(golden: Read, golden_network: Callable[..., Any], name: str) -> None:
    tensors, about = golden(f"model_{name}")
    network: PointTransformer = golden_network(tensors, about)
    cond: dict[str, Any] = {}
    embeddings = tensors.get("cond.embeddings")
    if embeddings is not None:
        cond = {"vector": embeddings} if network.vector_embed is not None else {"grids": {"image": embeddings}}
    if network.cond_point_proj is not None:
        cond["low_res"] = tensors["cond.low_res"]
    assert relative_error(network(tensors["x"], tensors["t"], **cond), tensors["y"]) < TOLERANCE
    if "y_without_image" in tensors:
        assert embeddings is not None
        cond["grids"] = {"image": torch.zeros_like(embeddings)}
        found = network(tensors["x"], tensors["t"], **cond)
        assert relative_error(found, tensors["y_without_image"]) < TOLERANCE


@torch.no_grad()
def test_sdf_network(golden: Read, golden_network: Callable[..., Any]) -> None:
    tensors, about = golden("model_sdf")
    network = golden_network(tensors, about)
    assert relative_error(network(tensors["point_clouds"], tensors["queries"]), tensors["sdf"]) < TOLERANCE


def test_every_network_file_is_tried(golden_folder: Path) -> None:
    tried = {"uncond", "uncond_time_added", "vec", "vec_added", "grid", "upsample", "upsample_plain", "sdf"}
    assert {path.stem.removeprefix("model_") for path in golden_folder.glob("model_*.safetensors")} <= tried


@pytest.mark.parametrize("name", [*RELEASED, "sdf"])
def test_released_checkpoints_fit(golden_folder: Path, name: str) -> None:
    manifest = json.loads((golden_folder / "manifests.json").read_text())[name]
    with torch.device("meta"):
        network: nn.Module = RELEASED_SDF.build() if name == "sdf" else RELEASED[name].config.build()
    state = network.state_dict()
    shapes = {key: list(value.shape) for key, value in to_released(state).items()}
    assert shapes == dict(manifest)
