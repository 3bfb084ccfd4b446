"""Networks by kind: plain JSON values in, a network out; one that is added as one file is found."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from enpointe import nn as package
from enpointe.checkpoints.embedded import embedded_path, read_network
from enpointe.checkpoints.weights import save_weights
from enpointe.cli import main
from enpointe.core.errors import InputError, WeightsError
from enpointe.nn.joint import JointConfig
from enpointe.nn.layout import Layout, LayoutConfig
from enpointe.nn.network import NETWORKS, NetworkConfig, build
from enpointe.nn.point_transformer import PointTransformerConfig
from enpointe.nn.pointnet2 import PointNet2Config
from enpointe.nn.sdf import SDFConfig
from enpointe.nn.sight import SightSDFConfig
from enpointe.nn.text_encoder import BertConfig

CONFIGS = [
    PointTransformerConfig(width=16, layers=1, heads=2, grids=(("text", 8), ("image", 4)), position_bands=2),
    PointTransformerConfig(width=16, layers=2, heads=4, low_res=True, channel_scales=(2.0,) * 6, vector=5),
    SDFConfig(width=16, encoder_layers=1, encoder_heads=2, decoder_layers=2, decoder_heads=1),
    SightSDFConfig(width=8, layers=2, nearest=3, grids=(4, 6)),
    PointNet2Config(classes=3, samples=(8, 4)),
    JointConfig(texts=4, pictures=6, hidden=8, width=3),
    BertConfig(vocabulary=20, width=8, layers=1, heads=2, hidden=8, positions=4),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_round_trip_through_json(config: NetworkConfig) -> None:
    network, described = config.build(), json.loads(json.dumps(config.described()))
    again = build(**described)
    assert type(again) is type(network)
    assert [(key, value.shape) for key, value in again.state_dict().items()] == [
        (key, value.shape) for key, value in network.state_dict().items()
    ]
    assert NETWORKS[config.kind] is type(config)


def test_unknown_kinds_and_keys() -> None:
    with pytest.raises(InputError, match=r"kind of network: expected one of .*sight_sdf.*, found 'mlp'"):
        build("mlp", {})
    with pytest.raises(InputError, match=r"PointTransformerConfig: .*unknown \['depth'\], missing \['heads'"):
        build("point_transformer", {"width": 3, "depth": 2})


def test_every_embedded_file_says_what_it_is() -> None:
    for path in sorted(embedded_path("base").parent.glob("*.safetensors")):
        network, weights = read_network(path, torch.nn.Module)
        assert weights.info["kind"] in NETWORKS
        assert not network.training


SOURCE = """
from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from enpointe.nn.network import network
from enpointe.nn.layout import Layout, LayoutConfig
from typing import Any


@network
@dataclass(frozen=True)
class QuietConfig(LayoutConfig):
    kind: ClassVar[str] = "quiet_layout"
    gain: float = 0.5

    def build(self):
        arguments = {**vars(self)}
        return QuietLayout(arguments.pop("gain"), arguments)


class QuietLayout(Layout):
    def __init__(self, gain, arguments):
        super().__init__(**arguments)
        self.gain = gain

    def forward(self, *args, **kwargs):
        return self.gain * super().forward(*args, **kwargs)
"""


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "quiet.py").write_text(SOURCE)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    monkeypatch.setattr(NETWORKS, "_complete", False)  # as in a process that starts with the file in its place
    yield
    NETWORKS.unregister("quiet_layout")
    del sys.modules[f"{package.__name__}.quiet"]


@pytest.mark.usefixtures("added")
def test_an_added_network(tmp_path: Path) -> None:
    """It is built and read by its kind, and draws on the command line."""
    sizes: dict[str, Any] = {"width": 16, "layers": 1, "heads": 2}
    torch.manual_seed(0)
    plain = LayoutConfig(**sizes).build()
    torch.nn.init.normal_(plain.output.weight, std=0.15)
    info = {"kind": "quiet_layout", "config": {**sizes, "gain": 0.25}, "text_tokens": 8, "nouns": ["dog"]}
    path = tmp_path / "quiet.safetensors"
    save_weights(path, plain.state_dict(), info, "float32")
    network, _ = read_network(path, Layout)
    x, t, grids = torch.randn(1, 6, 1024), torch.tensor([0.3]), {"text": torch.randn(1, 384, 5)}
    torch.testing.assert_close(network(x, t, grids=grids), 0.25 * plain(x, t, grids=grids))
    with pytest.raises(WeightsError, match="expected weights of a Linear, found those of a quiet_layout"):
        read_network(path, torch.nn.Linear)
    settings = ["--steps", "2", "--points", "64", "--no-mesh", "--device", "cpu", "--out", str(tmp_path / "out")]
    assert main(["generate", "a dog", "--weights", str(path), *settings]) == 0
    assert (tmp_path / "out" / "cloud.npz").is_file()
