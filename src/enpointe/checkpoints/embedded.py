"""The weights that come with the package: the `pocket` family and its encoders."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import torch
from tokenizers import Tokenizer
from torch import nn

from enpointe.checkpoints.registry import ASSETS
from enpointe.checkpoints.weights import Weights, load_into, read_weights
from enpointe.core.errors import InputError, WeightsError
from enpointe.encoders.efficientnet import ImageEncoder
from enpointe.encoders.joint import JointSpace
from enpointe.encoders.minilm import TextEncoder
from enpointe.nn.efficientnet import EfficientNetLite0
from enpointe.nn.joint import JointHeads
from enpointe.nn.network import build
from enpointe.nn.text_encoder import BertEncoder

N = TypeVar("N", bound=nn.Module)


@lru_cache(maxsize=2)
def text_encoder(device: torch.device) -> TextEncoder:
    """The embedded all-MiniLM-L6-v2, loaded once for each device.

    Raises:
        WeightsError: its files are missing or damaged.
    """
    network, _ = read_network(ASSETS / "minilm.safetensors", BertEncoder)
    try:
        tokenizer = Tokenizer.from_file(str(ASSETS / "minilm-tokenizer.json"))
    except Exception as error:
        raise WeightsError(f"minilm-tokenizer.json: expected a tokenizer, found {error}") from error
    return TextEncoder(network.to(device), tokenizer)


@lru_cache(maxsize=2)
def image_encoder(device: torch.device) -> ImageEncoder:
    """The embedded EfficientNet-Lite0, loaded once for each device.

    Raises:
        WeightsError: its file is missing or damaged.
    """
    network, _ = read_network(ASSETS / "efficientnet-lite0.safetensors", EfficientNetLite0)
    return ImageEncoder(network.to(device))


def embedded_path(member: str) -> Path:
    """The file of one of the family's members: "base", "layout", "detail", "up", "sdf", "classifier" or "joint"."""
    return ASSETS / f"pocket-{member}.safetensors"


def read_network(path: Path, cls: type[N]) -> tuple[N, Weights]:
    """A network with its weights, as the file itself describes it, on the CPU, in evaluation mode.

    Args:
        cls: the class that the file's kind of network must be.

    Raises:
        WeightsError: missing, damaged, or of another kind.
    """
    weights = read_weights(path)
    kind: Any = weights.info.get("kind")
    try:
        # Not on the meta device: filling its tensors imports PyTorch's decompositions, 2 s.
        network = build(kind, weights.info.get("config", {}))
    except (InputError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: expected a network that can be built, found {error}") from error
    if not isinstance(network, cls):
        raise WeightsError(f"{path}: expected weights of a {cls.__name__}, found those of a {kind}")
    load_into(network, weights, path)
    return network, weights


@lru_cache(maxsize=2)
def load_joint(device: torch.device) -> JointSpace:
    """The embedded joint model, loaded once for each device.

    Raises:
        WeightsError: its file or an encoder's is missing or damaged.
    """
    heads, weights = read_network(embedded_path("joint"), JointHeads)
    return JointSpace(
        text_encoder(device),
        image_encoder(device),
        heads.to(device),
        quality=MappingProxyType(dict(weights.info.get("quality", {}))),
    )
