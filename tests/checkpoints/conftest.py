"""A checkpoint of the release's kind, small: a name in the registries, a cache of its own, no mirror in reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from enpointe.checkpoints import structure
from enpointe.checkpoints.adapters import to_released
from enpointe.checkpoints.hub import download
from enpointe.checkpoints.registry import MODELS, ModelSpec, ReleasedFile, register_model
from enpointe.nn.point_transformer import PointTransformerConfig

CONFIG = PointTransformerConfig(width=32, layers=2, heads=2, vector=5, vector_as_token=True)


@dataclass(frozen=True)
class Tiny:
    """The name, its network, the release's file of it as bytes, and the cache's folder (not made)."""

    name: str
    file: str
    network: nn.Module
    data: bytes
    cache: Path

    def state(self) -> dict[str, Tensor]:
        return to_released(self.network.state_dict())

    def write(self, folder: Path) -> Path:
        path = folder / self.file
        path.write_bytes(self.data)
        return path


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tiny]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = CONFIG.build().eval()
        nn.init.normal_(network.output_proj.weight)  # a fresh one is zero, and says nothing
    count = sum(value.numel() for value in network.state_dict().values())
    register_model(ModelSpec("tiny", "for tests", released=ReleasedFile("tiny.pt", count)))
    monkeypatch.setitem(structure.BUILDERS, "tiny", CONFIG.build)
    monkeypatch.setattr(download, "MIRRORS", ("http://127.0.0.1:9/",))  # the port of nobody
    monkeypatch.setenv("ENPOINTE_CACHE", str(tmp_path / "cache"))
    for variable in ("ENPOINTE_OFFLINE", "HF_HUB_OFFLINE", "ENPOINTE_MIRRORS"):
        monkeypatch.delenv(variable, raising=False)
    path = tmp_path / "made.pt"
    torch.save(to_released(network.state_dict()), path)
    yield Tiny("tiny", "tiny.pt", network, path.read_bytes(), tmp_path / "cache")
    MODELS.unregister("tiny")
