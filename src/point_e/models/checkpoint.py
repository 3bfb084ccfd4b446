"""The release's gradient checkpointing, over PyTorch's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import Tensor
from torch.utils.checkpoint import checkpoint as recomputed


def checkpoint(func: Callable[..., Any], inputs: Sequence[Tensor], params: Iterable[Tensor], flag: bool) -> Any:
    """func(*inputs); with `flag` what lies between is not kept for the backward pass but computed again.

    params, what else the function depends on, is not needed: PyTorch finds it.
    """
    _ = params
    return recomputed(func, *inputs, use_reentrant=False) if flag else func(*inputs)
