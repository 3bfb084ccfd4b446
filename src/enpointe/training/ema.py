"""Exponential moving averages of a network's weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


class EMA:
    """Several averages of a network, of different length; short at first, so that none drags the random start along.

    Args:
        network: its floating-point buffers and parameters are followed, but for frozen ones, which do not change.
        decays: the longest memory of each, reached after about 10 / (1 - decay) updates.

    Attributes:
        averages: for each decay a state dict of what is followed.
        updates: how many there were.
    """

    def __init__(self, network: nn.Module, decays: Sequence[float] = (0.999,)) -> None:
        self.decays = tuple(decays)
        self.updates = 0
        frozen = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
        self.averages = [
            {key: value.detach().float().clone() for key, value in network.state_dict().items() if key not in frozen}
            for _ in decays
        ]

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the averages toward the network's present weights."""
        self.updates += 1
        state = network.state_dict()
        present = [state[key].detach().float() for key in self.averages[0]]
        for average, decay in zip(self.averages, self.decays, strict=True):
            kept = min(decay, (1 + self.updates) / (10 + self.updates))
            torch._foreach_lerp_(list(average.values()), present, 1 - kept)

    def load(self, averages: Sequence[Mapping[str, Tensor]], updates: int) -> None:
        """Continue from saved averages.

        Raises:
            ValueError, KeyError: they are of other decays, or of another network.
        """
        self.updates = updates
        for average, saved in zip(self.averages, averages, strict=True):
            if average.keys() != saved.keys():
                raise KeyError(*sorted(average.keys() ^ saved.keys()))
            for key, value in saved.items():
                average[key].copy_(value)
