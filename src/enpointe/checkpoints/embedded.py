"""The weights that come with the package: the `pocket` family and its encoders."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import torch
from tokenizers import Tokenizer

from enpointe.checkpoints.config import JointConfig, PointNet2Config, PointTransformerConfig, SightSDFConfig
from enpointe.checkpoints.registry import ASSETS
from enpointe.checkpoints.weights import Weights, load_into, read_weights
from enpointe.core.config import from_dict
from enpointe.core.errors import InputError, WeightsError
from enpointe.encoders.efficientnet import PictureEncoder
from enpointe.encoders.joint import JointSpace
from enpointe.encoders.minilm import TextEncoder
from enpointe.nn.efficientnet import EfficientNetLite0
from enpointe.nn.joint import JointHeads
from enpointe.nn.point_transformer import PointTransformer
from enpointe.nn.pointnet2 import PointNet2
from enpointe.nn.sight import SightSDF
from enpointe.nn.text_encoder import BertEncoder

Config = PointTransformerConfig | SightSDFConfig | PointNet2Config | JointConfig
CONFIGS: dict[str, type[Config]] = {
    "point_transformer": PointTransformerConfig,
    "sight_sdf": SightSDFConfig,
    "pointnet2": PointNet2Config,
    "joint": JointConfig,
}
"""What a weight file calls its network, and what describes one."""


@lru_cache(maxsize=2)
def text_encoder(device: torch.device) -> TextEncoder:
    """The embedded all-MiniLM-L6-v2, loaded once for each device.

    Raises:
        WeightsError: its files are missing or damaged.
    """
    path = ASSETS / "minilm.safetensors"
    network = BertEncoder()  # not on the meta device: filling its tensors imports PyTorch's decompositions, 2 s
    load_into(network, read_weights(path), path)
    try:
        tokenizer = Tokenizer.from_file(str(ASSETS / "minilm-tokenizer.json"))
    except Exception as error:
        raise WeightsError(f"minilm-tokenizer.json: expected a tokenizer, found {error}") from error
    return TextEncoder(network.to(device), tokenizer)


@lru_cache(maxsize=2)
def picture_encoder(device: torch.device) -> PictureEncoder:
    """The embedded EfficientNet-Lite0, loaded once for each device.

    Raises:
        WeightsError: its file is missing or damaged.
    """
    path = ASSETS / "efficientnet-lite0.safetensors"
    network = EfficientNetLite0()
    load_into(network, read_weights(path), path)
    return PictureEncoder(network.to(device))


def embedded_path(member: str) -> Path:
    """The file of one of the family's members: "base", "up", "sdf", "classifier" or "joint"."""
    return ASSETS / f"pocket-{member}.safetensors"


def read_network(path: Path, kind: str) -> tuple[PointTransformer | SightSDF | PointNet2 | JointHeads, Weights]:
    """A network with its weights, as the file itself describes it, on the CPU, in evaluation mode.

    Args:
        kind: one of CONFIGS.

    Raises:
        WeightsError: missing, damaged, or of another kind.
    """
    weights = read_weights(path)
    found = weights.info.get("kind")
    if found != kind:
        raise WeightsError(f"{path}: expected weights of a {kind}, found {found!r}")
    try:
        config: Config = from_dict(CONFIGS[kind], weights.info["config"])
    except (InputError, KeyError, TypeError) as error:
        raise WeightsError(f"{path}: expected a config of {kind}, found {error}") from error
    network = config.build()
    load_into(network, weights, path)
    return network, weights


@lru_cache(maxsize=2)
def load_joint(device: torch.device) -> JointSpace:
    """The embedded joint model, loaded once for each device.

    Raises:
        WeightsError: its file or an encoder's is missing or damaged.
    """
    heads, weights = read_network(embedded_path("joint"), "joint")
    assert isinstance(heads, JointHeads)
    return JointSpace(
        text_encoder(device),
        picture_encoder(device),
        heads.to(device),
        quality=MappingProxyType(dict(weights.info.get("quality", {}))),
    )
