"""The release's sine features of times."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from enpointe.nn.blocks import time_features
from point_e._originals import Originals


def timestep_embedding(timesteps: Tensor, dim: int, max_period: int = 10000) -> Tensor:
    """Features (N, dim) of times (N,), which may have fractions: cosines, sines, and for an odd dim a zero."""
    return F.pad(time_features(timesteps, dim, max_period), (0, dim % 2))


ORIGINALS = Originals(globals())
