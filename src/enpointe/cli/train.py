"""`enpointe train NAME`: run one of the training recipes."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path
from typing import Any

from enpointe.cli import options as opt
from enpointe.core.errors import InputError
from enpointe.core.progress import ProgressBar
from enpointe.training.tasks import RECIPES

MAX_MINUTES, MAX_STEPS = 525_600.0, 10**9


class _WholeNames(argparse.HelpFormatter):
    """Breaks no line within a name such as pocket-layout."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(text, width, break_on_hyphens=False)


def add_parser(commands: opt.Commands[Any]) -> None:
    parser = commands.add_parser(
        "train", allow_abbrev=False, formatter_class=_WholeNames,
        description="Trains a model from nothing; its best weights are on disk whenever it is stopped.",
    )  # fmt: skip
    parser.add_argument("name", choices=tuple(RECIPES), metavar="NAME", help=", ".join(RECIPES))
    parser.add_argument(
        "--minutes", type=opt.real(0, MAX_MINUTES), metavar="M",
        help="the whole budget, the part before a resumed run's stop counted in (default: the resumed run's, or the "
        "recipe's)",
    )  # fmt: skip
    parser.add_argument(
        "--steps", type=opt.whole(1, MAX_STEPS), metavar="N",
        help="a budget of steps, in place of minutes or beside them: the first that is spent ends the run",
    )  # fmt: skip
    parser.add_argument(
        "--set", dest="changes", action="extend", nargs="+", default=[], metavar="NAME=VALUE",
        help="change values of the recipe, such as learning_rate=1e-5 batch=8 network.width=128",
    )  # fmt: skip
    parser.add_argument(
        "--resume", action="store_true", help="continue the run in --run where it stopped, with its data and budget"
    )
    parser.add_argument(
        "--cool-down", type=opt.real(0, MAX_MINUTES), metavar="M",
        help="end a resumed run in M minutes from where it stands, its learning rate falling to 0",
    )  # fmt: skip
    parser.add_argument(
        "--init", metavar="WHAT",
        help="weights of the same model to start from: a file, or a name such as pocket-layout or base40M-textvec",
    )  # fmt: skip
    parser.add_argument(
        "--low-rank", type=opt.whole(1, 4096), metavar="RANK",
        help="learn only factors of this rank beside the model's matrices (LoRA)",
    )  # fmt: skip
    parser.add_argument("--run", dest="run_dir", metavar="DIR", help="folder of the run (default: runs/NAME)")
    parser.add_argument(
        "--data", nargs="+", default=(), metavar="PLACE",
        help="what 'enpointe data build' made: pools' files, folders or URLs of shards (default: make a pool)",
    )  # fmt: skip
    parser.add_argument(
        "--weights", nargs="+", type=opt.real(0, 1e9), metavar="W",
        help="of each place, how often its examples come, in proportion (default: equally often)",
    )  # fmt: skip
    opt.add_device(parser)
    parser.add_argument(
        "--processes", type=opt.whole(1, 1024), default=1, metavar="N",
        help="share every step among N processes, on as many cores or GPUs; torchrun works too (default: 1)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    run_dir = Path("runs") / options.name if options.run_dir is None else Path(options.run_dir)
    for place in options.data:
        if "://" not in place and not Path(place).exists():
            raise InputError(f"argument --data: expected an existing pool or folder of shards, found no {place!r}")
    if options.weights is not None and len(options.weights) != len(options.data):
        places, weights = len(options.data), len(options.weights)
        raise InputError(f"argument --weights: expected one for each of {places} --data, found {weights}")
    if run_dir.exists() and not run_dir.is_dir():
        raise InputError(f"argument --run: expected a folder, found a file: {run_dir}")
    if options.init is not None and options.resume:
        raise InputError("argument --init: expected a new run, found --resume beside it")
    if options.cool_down is not None and (not options.resume or options.minutes or options.steps):
        raise InputError("argument --cool-down: expected --resume beside it, and no other budget")
    if options.resume and not run_dir.is_dir():
        raise InputError(f"argument --resume: expected the folder of an earlier run, found no {run_dir}")
    from tqdm import tqdm

    from enpointe.training.recipe import train

    with ProgressBar() as progress:
        train(
            options.name,
            changes=options.changes,
            cool_down=options.cool_down,
            minutes=options.minutes,
            steps=options.steps,
            resume=options.resume,
            init=options.init,
            low_rank=options.low_rank,
            device=options.device,
            n_processes=options.processes,
            run_dir=run_dir,
            data=options.data,
            weights=options.weights,
            report=tqdm.write,  # prints without tearing the bar
            progress=progress,
        )
