"""The solvers by name. (`ddpm` is apart: it needs a discrete process, not noise levels.)"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from enpointe.core.errors import InputError
from enpointe.diffusion.ancestral import ancestral
from enpointe.diffusion.dpm2 import dpm2
from enpointe.diffusion.dpmpp import dpmpp
from enpointe.diffusion.heun import heun
from enpointe.diffusion.step import Step
from enpointe.diffusion.unipc import unipc

Solver = Callable[..., Iterator[Step]]
"""(denoiser, x (N, C, P), sigmas (n + 1,), *, noise, **options of its own) -> n + 1 steps."""

SOLVERS: dict[str, Solver] = {
    "heun": heun, "dpmpp": dpmpp, "unipc": unipc, "ancestral": ancestral, "dpm2": dpm2,
}  # fmt: skip


def solver(name: str) -> Solver:
    """The solver of that name.

    Raises:
        InputError: there is none.
    """
    if name not in SOLVERS:
        raise InputError(f"sampler: expected one of {', '.join(sorted(SOLVERS))}, found {name!r}")
    return SOLVERS[name]
