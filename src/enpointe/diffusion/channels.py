"""World units of a point's channels <-> the about [-1, 1] that a diffusion model works in."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class ChannelScaling:
    """model = world * scales + biases, channel by channel; the defaults are the release's.

    World units are x, y, z in a frame whose longest side is 1, and R, G, B in 0..255.
    """

    scales: tuple[float, ...] = (2.0, 2.0, 2.0, 0.007843137255, 0.007843137255, 0.007843137255)
    biases: tuple[float, ...] = (0.0, 0.0, 0.0, -1.0, -1.0, -1.0)

    def to_model(self, points: Float[Tensor, "n c p"]) -> Float[Tensor, "n c p"]:
        """World units (N, C, P) -> model units (N, C, P)."""
        return points * points.new_tensor(self.scales)[:, None] + points.new_tensor(self.biases)[:, None]

    def to_world(self, x: Float[Tensor, "n c p"]) -> Float[Tensor, "n c p"]:
        """Model units (N, C, P) -> world units (N, C, P)."""
        return (x - x.new_tensor(self.biases)[:, None]) / x.new_tensor(self.scales)[:, None]
