"""An exponential moving average of a network's weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class EMA:
    """Shadows a network; short at first, so that the average never drags the random start along.

    Args:
        network: its floating-point buffers and parameters are followed; of frozen ones, which do not change, there is
            no copy.
        decay: the longest memory, reached after about 10 / (1 - decay) updates.

    Attributes:
        state: a whole state dict of the network.
        followed: the keys of those that are followed.
    """

    def __init__(self, network: nn.Module, decay: float = 0.999) -> None:
        self.decay = decay
        self.updates = 0
        frozen = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
        self.state = {
            key: value.detach() if key in frozen else value.detach().float().clone()
            for key, value in network.state_dict().items()
        }
        self.followed = self.state.keys() - frozen

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the average toward the network's present weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for key, value in network.state_dict().items():
            if key in self.followed:
                self.state[key].lerp_(value.detach().float(), 1 - decay)

    def load(self, state: Mapping[str, Tensor], updates: int) -> None:
        """Continue from a saved average."""
        self.updates = updates
        for key, value in state.items():
            self.state[key].copy_(value)
