"""Texts and pictures in one space: a small head on the features of each.

The objective is CLIP's (arXiv 2103.00020, section 2.3), the encoders below stay as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from enpointe.nn.network import NetworkConfig, network

SHARPEST = 100.0
"""The most that cosines are multiplied by, as in CLIP."""


class Tower(nn.Module):
    """Features (n, inputs) -> unit vectors (n, outputs): standardized, then a linear map plus one hidden layer's."""

    def __init__(self, inputs: int, hidden: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.middle: Tensor
        self.spread: Tensor
        self.register_buffer("middle", torch.zeros(inputs))
        self.register_buffer("spread", torch.ones(inputs))
        self.dropout = nn.Dropout(dropout)
        self.straight = nn.Linear(inputs, outputs)
        self.hidden = nn.Linear(inputs, hidden)
        self.output = nn.Linear(hidden, outputs)

    def standardize(self, features: Float[Tensor, "n inputs"]) -> None:
        """Take middle and spread from the features (n, inputs) that it will learn from."""
        self.middle.copy_(features.mean(0))
        self.spread.copy_(features.std(0).clamp_min(1e-3))

    def forward(self, features: Float[Tensor, "n inputs"]) -> Float[Tensor, "n width"]:
        # Far beyond what it has seen, a feature means no more than at the border.
        x = self.dropout(((features - self.middle) / self.spread).clamp(-6, 6))
        return F.normalize(self.straight(x) + self.output(self.dropout(F.gelu(self.hidden(x)))).float(), dim=-1)


@network
@dataclass(frozen=True)
class JointConfig(NetworkConfig):
    """Arguments of `JointHeads`."""

    kind: ClassVar[str] = "joint"
    texts: int
    pictures: int
    hidden: int = 512
    width: int = 128
    dropout: float = 0.2

    def build(self) -> JointHeads:
        return JointHeads(**vars(self))


class JointHeads(nn.Module):
    """The two towers and how much a cosine between their vectors means.

    Args:
        texts, pictures: sizes of the features.
        hidden: of each tower.
        width: of the space.
        dropout: while training, of features and hidden layers.
    """

    def __init__(self, *, texts: int, pictures: int, hidden: int = 512, width: int = 128, dropout: float = 0.2) -> None:
        super().__init__()
        self.texts = Tower(texts, hidden, width, dropout)
        self.pictures = Tower(pictures, hidden, width, dropout)
        self.log_scale = nn.Parameter(torch.tensor(math.log(20.0)))

    @property
    def scale(self) -> Tensor:
        """What cosines are multiplied by to become logits."""
        return self.log_scale.exp().clamp(max=SHARPEST)

    def forward(
        self, texts: Float[Tensor, "n texts"], pictures: Float[Tensor, "m pictures"]
    ) -> tuple[Float[Tensor, "n width"], Float[Tensor, "m width"], Float[Tensor, ""]]:
        """Text features (n, texts), picture features (m, pictures) -> unit rows (n, width), (m, width), the scale."""
        return self.texts(texts), self.pictures(pictures), self.scale
