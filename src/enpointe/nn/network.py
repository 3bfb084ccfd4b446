"""Networks by kind: what a weight file calls its network, and the config that describes one.

Each module of this package that has such a network registers its config, a frozen dataclass beside the class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from torch import nn

from enpointe.core.config import from_dict
from enpointe.core.registry import Registry

C = TypeVar("C", bound="type[NetworkConfig]")


@dataclass(frozen=True)
class NetworkConfig(ABC):
    """Sizes and options of a network. Subclasses are frozen dataclasses of plain values and tuples.

    Attributes:
        kind: what weight files call the network.
    """

    kind: ClassVar[str]

    @abstractmethod
    def build(self) -> nn.Module:
        """A network with fresh weights, on the CPU, in float32."""

    def described(self) -> dict[str, Any]:
        """A weight file's description of its network, from which `build` makes it again."""
        return {"kind": self.kind, "config": {**vars(self)}}


NETWORKS: Registry[type[NetworkConfig]] = Registry("kind of network", "enpointe.nn")


def network(config: C) -> C:
    """A class decorator that registers a config under its kind."""
    NETWORKS.register(config.kind)(config)
    return config


def build(kind: str, config: Mapping[str, Any]) -> nn.Module:
    """A network with fresh weights, on the CPU, in float32.

    Args:
        kind: one of `NETWORKS`.
        config: plain JSON values.

    Raises:
        InputError: no such kind, or a key of the config is unknown or missing.
    """
    return from_dict(NETWORKS[kind], config).build()
