"""EfficientNet-Lite0: an image network without squeeze-and-excitation, with ReLU6 throughout.

Blocks are MobileNetV2's (arXiv 1801.04381, section 3), their numbers those of EfficientNet-B0 (arXiv 1905.11946,
table 1) with the stem and the head of the lite variants. Batch norms are folded into the convolutions: this is a
network to extract features with, not one to train.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from enpointe.nn.network import NetworkConfig, network

SIZE = 224
"""Pixels along a side that it was trained at; any multiple of 32 works."""
CHANNELS = 1280
"""Of the grid that it sees an image as."""


class Stage(NamedTuple):
    """Blocks in a row: the first one has the stride and changes the width."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    width: int


STEM = 32
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
STATISTICS = 2 * sum(stage.width for stage in STAGES)
EPSILON = 1e-3
"""Of the published weights' batch norms."""


class Sights(NamedTuple):
    """What the network makes of n images."""

    pooled: Float[Tensor, "n channels"]
    """(n, 1280), the grid's mean."""
    grid: Float[Tensor, "n channels h w"]
    """(n, 1280, h / 32, w / 32)."""
    statistics: Float[Tensor, "n statistics"]
    """(n, STATISTICS): each stage's channels as mean and standard deviation over the places. What the classes
    of ImageNet do not depend on, such as a thing's color, is plainer here than in the grid."""


def image_features(sights: Sights) -> Float[Tensor, "n features"]:
    """(n, CHANNELS + STATISTICS): all that is not a grid, as the joint model reads it."""
    return torch.cat([sights.pooled, sights.statistics], dim=1)


class Convolution(nn.Module):
    """A convolution with bias whose borders are padded as TensorFlow's "same", more at the right and below.

    Its weight is kept as a matrix, one row an output channel, so that weight files can round it by rows.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride, self.groups = kernel, stride, groups
        self.weight = nn.Parameter(torch.empty(outputs, inputs // groups * kernel**2))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.kaiming_uniform_(self.weight)

    def forward(self, x: Float[Tensor, "n inputs h w"]) -> Float[Tensor, "n outputs rows columns"]:
        """(n, inputs, h, w) -> (n, outputs, h / stride, w / stride), rounded up."""
        weight = self.weight.view(len(self.weight), -1, self.kernel, self.kernel)
        rows, columns = (self._lacking(size) for size in x.shape[2:])
        if rows % 2 == columns % 2 == 0:
            return F.conv2d(x, weight, self.bias, self.stride, (rows // 2, columns // 2), groups=self.groups)
        x = F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        return F.conv2d(x, weight, self.bias, self.stride, groups=self.groups)

    def _lacking(self, size: int) -> int:
        """Rows or columns that an image of that size lacks."""
        return max(0, (-(-size // self.stride) - 1) * self.stride + self.kernel - size)


class Block(nn.Module):
    """Widen, look around in each channel by itself, narrow; added to what came in where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inside = inputs * expansion
        self.expand = Convolution(inputs, inside) if expansion > 1 else None
        self.depthwise = Convolution(inside, inside, kernel, stride, groups=inside)
        self.project = Convolution(inside, outputs)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        inside = x if self.expand is None else F.relu6(self.expand(x))
        out: Tensor = self.project(F.relu6(self.depthwise(inside)))
        return x + out if self.adds else out


@network
@dataclass(frozen=True)
class EfficientNetLite0Config(NetworkConfig):
    """There is only one size."""

    kind: ClassVar[str] = "efficientnet_lite0"

    def build(self) -> EfficientNetLite0:
        return EfficientNetLite0()


class EfficientNetLite0(nn.Module):
    """Images to grids; 3.4 million parameters, 0.4 billion multiplications at 224 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, STEM, 3, 2)
        self.blocks = nn.ModuleList(Block(*sizes) for sizes in _blocks())
        self.head = Convolution(STAGES[-1].width, CHANNELS)

    def forward(self, pixels: Float[Tensor, "n 3 h w"]) -> Sights:
        """Pixels (n, 3, h, w), RGB, (value - 127) / 128 of values from 0 to 255."""
        x = F.relu6(self.stem(pixels))
        statistics = []
        ends = _stage_ends()
        for place, block in enumerate(self.blocks):
            x = block(x)
            if place in ends:
                statistics += [x.mean(dim=(2, 3)), x.std(dim=(2, 3), correction=0)]
        grid = F.relu6(self.head(x))
        return Sights(grid.mean(dim=(2, 3)), grid, torch.cat(statistics, dim=1))


def _blocks() -> Iterator[tuple[int, int, int, int, int]]:
    """Inputs, outputs, kernel, stride and expansion of every block."""
    width = STEM
    for stage in STAGES:
        for place in range(stage.blocks):
            yield width, stage.width, stage.kernel, stage.stride if place == 0 else 1, stage.expansion
            width = stage.width


def _stage_ends() -> set[int]:
    """Each stage's last block."""
    counts = [stage.blocks for stage in STAGES]
    return {sum(counts[: i + 1]) - 1 for i in range(len(counts))}


def fold(
    weight: Float[Tensor, " outputs *kernel"], norm: Mapping[str, Float[Tensor, " outputs"]], epsilon: float = EPSILON
) -> tuple[Float[Tensor, "outputs inputs"], Float[Tensor, " outputs"]]:
    """A convolution without bias (outputs, ...) and the batch norm after it as weight and bias of one convolution.

    `norm` holds the norm's weight, bias, running_mean and running_var, (outputs,) each.
    """
    gain = norm["weight"] / torch.sqrt(norm["running_var"] + epsilon)
    return weight.flatten(1) * gain[:, None], norm["bias"] - norm["running_mean"] * gain


def folded_state(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of `EfficientNetLite0` from published weights, whose keys are those of the common PyTorch port.

    The classifier is left out.

    Raises:
        KeyError: a tensor is missing.
    """
    pairs = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    for i, (_, _, _, _, expansion) in enumerate(_blocks()):
        if expansion > 1:
            pairs[f"blocks.{i}.expand"] = (f"_blocks.{i}._expand_conv", f"_blocks.{i}._bn0")
        pairs[f"blocks.{i}.depthwise"] = (f"_blocks.{i}._depthwise_conv", f"_blocks.{i}._bn1")
        pairs[f"blocks.{i}.project"] = (f"_blocks.{i}._project_conv", f"_blocks.{i}._bn2")
    state = {}
    for name, (convolution, norm) in pairs.items():
        of_norm = {key: published[f"{norm}.{key}"] for key in ("weight", "bias", "running_mean", "running_var")}
        state[f"{name}.weight"], state[f"{name}.bias"] = fold(published[f"{convolution}.weight"], of_norm)
    return state
