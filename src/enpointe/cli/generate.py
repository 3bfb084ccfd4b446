"""`enpointe generate`: a prompt, or images, become a folder of files."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enpointe.checkpoints.registry import generator
from enpointe.cli import options as opt
from enpointe.cli.console import report, warn
from enpointe.core.errors import InputError
from enpointe.core.files import slug, writing
from enpointe.core.progress import ProgressBar
from enpointe.core.prompt import check_prompt

if TYPE_CHECKING:
    from enpointe.pipelines.base import ImageInput, Pipeline
    from enpointe.pipelines.result import Result

AT_A_TIME = 64
"""Samples that are held in memory before their files are written."""
BYTES_PER_CLOUD, BYTES_PER_POINT, BYTES_PER_MESH_CELL = 2_000_000, 100, 600
"""Room that one sample's files may take: its images and page, each of its points, each of the mesh grid's side
squared. About the most that was seen."""
NAMED = 64
"""Folders that are named one by one in the last words; of more, the first and the last."""


@dataclass(frozen=True)
class Sample:
    """One of the clouds to make: from the text or image, with a seed, into a subfolder ("" for the folder itself)."""

    prompt: str | None
    image: str | None
    seed: int
    subfolder: str


def add_parser(commands: opt.Commands[Any]) -> None:
    parser = commands.add_parser(
        "generate",
        description="Writes cloud.ply, cloud.npz, mesh.glb, views.png, view.html and meta.json.",
        allow_abbrev=False,
    )
    parser.add_argument("prompt", nargs="?", metavar="PROMPT", help='what to make, such as "a pink motorcycle"')
    parser.add_argument(
        "--image", action="append", default=[], metavar="FILE",
        help="an image of what to make, for a model that draws from images, such as base300M; may be repeated: "
        "more than one go to numbered subfolders",
    )  # fmt: skip
    parser.add_argument(
        "--n", type=opt.whole(1, opt.MAX_SAMPLES), default=1, metavar="N",
        help="how many, of each image; more than one go to numbered subfolders, with seeds S, S+1, ... (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=opt.whole(0, opt.MAX_SEED), default=0, metavar="S",
        help="the same seed and settings give the same points (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--out", metavar="DIR", help="folder to write to (default: out/<prompt, image or model>-<seed>)"
    )
    parser.add_argument(
        "--mesh", action=argparse.BooleanOptionalAction, default=True, help="also make a mesh (default: yes)"
    )
    opt.add_grid(parser)
    opt.add_sampling(parser)
    opt.add_model(parser)
    parser.add_argument(
        "--weights", metavar="FILE",
        help="the base network's weights, instead of those that the model's name stands for: a .safetensors file, "
        "or for a released model also a .pt file",
    )  # fmt: skip
    opt.add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    samples = requested(options)
    if options.out is not None and not options.out.strip():
        raise InputError("argument --out: expected a folder's name, got blank text")
    folder = Path(options.out) if options.out else Path("out") / f"{_name(options)}-{options.seed}"
    each = BYTES_PER_CLOUD + BYTES_PER_POINT * options.points
    if options.mesh:
        each += BYTES_PER_MESH_CELL * options.grid**2
    start = time.perf_counter()
    files: dict[str, list[str]] = {}
    from enpointe.io.sample_folder import replacing_samples

    # The folder comes first: whether it can be written is known before anything slow begins.
    with replacing_samples(folder, len(samples) * each) as staging, ProgressBar() as bar:
        pipeline = opt.load_model(options, options.weights)
        if len(samples) > AT_A_TIME:
            warn(f"{len(samples)} samples: made and written {AT_A_TIME} at a time")
        for first in range(0, len(samples), AT_A_TIME):
            part = samples[first : first + AT_A_TIME]
            for sample, result in zip(part, generated(pipeline, part, options, bar), strict=True):
                with writing(folder / sample.subfolder):
                    result.write(staging / sample.subfolder, mesh=options.mesh, grid_size=options.grid, progress=bar)
                files[sample.subfolder] = sorted(path.name for path in (staging / sample.subfolder).iterdir())
    seconds = round(time.perf_counter() - start, 3)
    machine = {
        **({} if samples[0].prompt is None else {"prompt": samples[0].prompt}),
        "folder": str(folder),
        "seconds": seconds,
        "results": [
            {
                "seed": sample.seed,
                **({} if sample.image is None else {"image": sample.image}),
                "files": {name: str(folder / sample.subfolder / name) for name in files[sample.subfolder]},
            }
            for sample in samples
        ],
    }
    words = f"wrote {', '.join(files[samples[0].subfolder])} in {seconds:.1f} s to{_where(folder, samples)}"
    report(f"{words}\nlook at {folder / samples[0].subfolder / 'view.html'}", machine, options.json)


def requested(options: argparse.Namespace) -> list[Sample]:
    """What to make, image by image; InputError where the model draws from something else, or it is too much."""
    prompt = None if options.prompt is None else check_prompt(options.prompt)
    spec = generator(options.model)
    if prompt is None and not options.image and spec.inputs:
        raise InputError("expected a PROMPT, or --image FILE for a model that draws from images; got neither")
    spec.check_inputs(text=prompt is not None, image=bool(options.image))
    for image in options.image:
        if not Path(image).is_file():
            raise InputError(f"argument --image: expected an existing file, got {image!r}")
    if options.seed + options.n - 1 > opt.MAX_SEED:
        raise InputError(f"argument --seed: expected seeds up to {opt.MAX_SEED}, got {options.seed} + {options.n - 1}")
    images: list[str | None] = options.image or [None]
    total = len(images) * options.n
    if total > opt.MAX_SAMPLES:
        raise InputError(f"argument --n: expected at most {opt.MAX_SAMPLES} samples in all, got {total}")
    pairs = [(image, options.seed + i) for image in images for i in range(options.n)]
    return [Sample(prompt, image, seed, str(number) if total > 1 else "") for number, (image, seed) in enumerate(pairs)]


def generated(
    pipeline: Pipeline, samples: Sequence[Sample], options: argparse.Namespace, bar: ProgressBar
) -> list[Result]:
    settings: dict[str, Any] = {
        "n_points": options.points,
        "steps": options.steps,
        "guidance_scale": options.guidance_scale,
        "sampler": options.sampler,
        "progress": bar,
    }
    images: list[ImageInput] = [sample.image for sample in samples if sample.image is not None]
    prompts = [sample.prompt for sample in samples if sample.prompt is not None]
    seeds = [sample.seed for sample in samples]
    if images:
        return pipeline.generate(image=images, seed=seeds, **settings)
    return pipeline.generate(prompts, seed=seeds, **settings) if prompts else pipeline.generate(seed=seeds, **settings)


def _name(options: argparse.Namespace) -> str:
    """What the folder is called after."""
    if options.prompt is not None:
        return slug(check_prompt(options.prompt))
    if not options.image:
        return slug(options.model)
    more = len(options.image) - 1
    return slug(Path(options.image[0]).stem) + (f"-and-{more}-more" if more else "")


def _where(folder: Path, samples: Sequence[Sample]) -> str:
    if len(samples) == 1:
        return f" {folder}"
    if len(samples) > NAMED:
        return f" {folder / samples[0].subfolder} ... {folder / samples[-1].subfolder}"
    return "".join(f"\n  {folder / sample.subfolder}" for sample in samples)
