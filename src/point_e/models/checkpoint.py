"""The release's gradient checkpointing: what lies between is not kept for the backward pass but computed again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from point_e._originals import Originals


def checkpoint(func: Callable[..., Any], inputs: Sequence[Tensor], params: Iterable[Tensor], flag: bool) -> Any:
    """func(*inputs), with `flag` by way of `CheckpointFunction`.

    Args:
        params: what else the function depends on and is to have a gradient.
    """
    if not flag:
        return func(*inputs)
    return CheckpointFunction.apply(func, len(inputs), *inputs, *params)  # type: ignore[no-untyped-call]


class CheckpointFunction(torch.autograd.Function):
    """apply(function, n, *inputs, *params), n the number of inputs; gradients of both."""

    @staticmethod
    def forward(ctx: Any, run_function: Callable[..., Any], length: int, *args: Tensor) -> Any:
        ctx.run_function, ctx.length = run_function, length
        ctx.save_for_backward(*args)
        with torch.no_grad():
            return run_function(*args[:length])

    @staticmethod
    def backward(ctx: Any, *output_grads: Tensor) -> Any:
        n, saved = ctx.length, ctx.saved_tensors
        inputs = [tensor.detach().requires_grad_(tensor.is_floating_point()) for tensor in saved[:n]]
        with torch.enable_grad():
            # Views: a function may begin with a change in place, which a leaf does not bear.
            outputs = ctx.run_function(*(tensor.view_as(tensor) for tensor in inputs))
        wanted = [tensor for tensor in (*inputs, *saved[n:]) if tensor.requires_grad]
        gradients = iter(torch.autograd.grad(outputs, wanted, output_grads, allow_unused=True))
        return None, None, *(next(gradients) if t.requires_grad else None for t in (*inputs, *saved[n:]))


ORIGINALS = Originals(globals())
