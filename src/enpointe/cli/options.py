"""Options that several commands share, and the checks of their values."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from enpointe.core.checks import MAX_POINTS, MIN_POINTS, USUAL_POINTS
from enpointe.core.errors import InputError
from enpointe.diffusion.samplers import SAMPLERS

if TYPE_CHECKING:
    from enpointe.pipelines.base import Pipeline

MAX_SEED = 2**53 - 1
"""The largest whole number that every JSON reader keeps exactly: seeds are written to meta.json."""
MAX_SAMPLES = 10_000
MAX_STEPS = 1000
MIN_GRID, MAX_GRID = 8, 512
MAX_GUIDANCE = 100.0
DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("auto", "float32", "bfloat16")

Commands = argparse._SubParsersAction  # argparse has no public names for these
Options = argparse._ActionsContainer
"""A parser, or a group of its options."""


def whole(low: int, high: int) -> Callable[[str], int]:
    """An argument type: a whole number from low to high, both included."""

    def parse(text: str) -> int:
        if re.fullmatch(r"[+-]?[0-9]{1,19}", text.strip()) and low <= int(text) <= high:
            return int(text)
        raise argparse.ArgumentTypeError(f"expected a whole number from {low} to {high}, got {text!r}")

    return parse


def real(low: float, high: float) -> Callable[[str], float]:
    """An argument type: a finite number from low to high, both included."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if low <= value <= high:  # nan is not
            return value
        raise argparse.ArgumentTypeError(f"expected a number from {low:g} to {high:g}, got {text!r}")

    return parse


def add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", default="pocket", metavar="NAME",
        help="pocket, which comes with the package, or a released one, such as base40M-textvec or base300M "
        "('enpointe models list' names all; default: pocket)",
    )  # fmt: skip
    parser.add_argument(
        "--preset", metavar="NAME",
        help="a model's settings: fast, or for the released models reference, the release's own (default: fast)",
    )  # fmt: skip
    add_device(parser)
    parser.add_argument(
        "--dtype", choices=DTYPES,
        help="number format of the networks: auto takes the faster one here (default: what the preset says)",
    )  # fmt: skip


def add_device(parser: Options) -> None:
    parser.add_argument(
        "--device", choices=DEVICES, default="auto",
        help="where to compute (default: auto, the fastest that this machine has)",
    )  # fmt: skip


def load_model(options: argparse.Namespace, weights: str | None = None) -> Pipeline:
    """The model that the options name; `weights` is a file for its base network."""
    if weights is not None and not Path(weights).is_file():
        raise InputError(f"argument --weights: expected an existing file, got {weights!r}")
    import enpointe

    return enpointe.load(
        options.model, device=options.device, preset=options.preset, dtype=options.dtype, weights=weights
    )


def add_points(parser: Options) -> None:
    parser.add_argument(
        "--points", type=whole(MIN_POINTS, MAX_POINTS), default=USUAL_POINTS, metavar="N",
        help=f"points of the final cloud (default: {USUAL_POINTS})",
    )  # fmt: skip


def add_sampling(parser: Options) -> None:
    add_points(parser)
    parser.add_argument(
        "--steps", type=whole(1, MAX_STEPS), metavar="N", help="steps of the sampler (default: the model's)"
    )
    parser.add_argument(
        "--guidance-scale", "--guidance", type=real(0, MAX_GUIDANCE), metavar="G",
        help="how closely to follow the prompt; 1 is plain conditional (default: the model's)",
    )  # fmt: skip
    parser.add_argument(
        "--sampler", choices=tuple(SAMPLERS),
        help="how noise becomes a cloud (default: the model's; ddpm is for the released models only)",
    )  # fmt: skip


def add_grid(parser: Options) -> None:
    parser.add_argument(
        "--grid", type=whole(MIN_GRID, MAX_GRID), default=128, metavar="N",
        help="cells along the mesh grid's longest side (default: 128)",
    )  # fmt: skip


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one machine-readable line instead of words")
