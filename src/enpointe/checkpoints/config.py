"""A frozen config becomes a network."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from enpointe.nn.joint import JointHeads
from enpointe.nn.point_transformer import PointTransformer
from enpointe.nn.pointnet2 import PointNet2
from enpointe.nn.sdf import SDFTransformer
from enpointe.nn.sight import SightSDF


@dataclass(frozen=True)
class PointTransformerConfig:
    """Arguments of `PointTransformer`."""

    width: int
    layers: int
    heads: int
    input_channels: int = 6
    output_channels: int = 12
    time_as_token: bool = True
    vector: int = 0
    vector_as_token: bool = False
    grids: tuple[tuple[str, int], ...] = ()
    low_res: bool = False
    channel_scales: tuple[float, ...] = (1.0,) * 6
    channel_biases: tuple[float, ...] = (0.0,) * 6
    position_bands: int = 0
    neighbours: int = 0

    def build(self) -> PointTransformer:
        """A network with fresh weights, on the CPU, in float32."""
        # Not asdict: it would turn the tuples of `grids` into copies for nothing.
        return PointTransformer(**{f.name: getattr(self, f.name) for f in dataclasses.fields(self)})


@dataclass(frozen=True)
class SDFConfig:
    """Arguments of `SDFTransformer`."""

    width: int
    encoder_layers: int
    encoder_heads: int
    decoder_layers: int
    decoder_heads: int

    def build(self) -> SDFTransformer:
        """A network with fresh weights, on the CPU, in float32."""
        return SDFTransformer(**dataclasses.asdict(self))


@dataclass(frozen=True)
class SightSDFConfig:
    """Arguments of `SightSDF`."""

    width: int
    layers: int
    nearest: int
    grids: tuple[int, ...]

    def build(self) -> SightSDF:
        """A network with fresh weights, on the CPU, in float32."""
        return SightSDF(**{f.name: getattr(self, f.name) for f in dataclasses.fields(self)})


@dataclass(frozen=True)
class PointNet2Config:
    """Arguments of `PointNet2`."""

    classes: int
    width: float = 1
    channels: int = 0
    samples: tuple[int, int] = (512, 128)
    radii: tuple[float, float] = (0.2, 0.4)
    neighbours: tuple[int, int] = (32, 64)
    dropout: float = 0.4

    def build(self) -> PointNet2:
        """A network with fresh weights, on the CPU, in float32."""
        return PointNet2(**{f.name: getattr(self, f.name) for f in dataclasses.fields(self)})


@dataclass(frozen=True)
class JointConfig:
    """Arguments of `JointHeads`."""

    texts: int
    pictures: int
    hidden: int = 512
    width: int = 128
    dropout: float = 0.2

    def build(self) -> JointHeads:
        """A network with fresh weights, on the CPU, in float32."""
        return JointHeads(**dataclasses.asdict(self))
