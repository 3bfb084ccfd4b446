"""`enpointe generate PROMPT`: a prompt becomes a folder of files."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enpointe import __version__
from enpointe.cli import options as opt
from enpointe.cli.output import BYTES_PER_RESULT, result_folder, slug, writing
from enpointe.cli.progress import Bar, report, warn
from enpointe.errors import InputError
from enpointe.prompt import check_prompt

if TYPE_CHECKING:
    from enpointe.geometry.mesh import Mesh
    from enpointe.geometry.point_cloud import PointCloud


def add_parser(commands: opt.Commands[Any]) -> None:
    parser = commands.add_parser(
        "generate",
        help="make a cloud and a mesh from a prompt",
        description="Writes cloud.ply, cloud.npz, mesh.glb, views.png, view.html and meta.json.",
        allow_abbrev=False,
    )
    parser.add_argument("prompt", metavar="PROMPT", help='what to make, such as "a pink motorcycle"')
    parser.add_argument(
        "--n", type=opt.whole(1, opt.MAX_SAMPLES), default=1, metavar="N",
        help="how many; more than one go to numbered subfolders, with seeds S, S+1, ... (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=opt.whole(0, opt.MAX_SEED), default=0, metavar="S",
        help="the same seed and settings give the same points (default: 0)",
    )  # fmt: skip
    parser.add_argument("--out", metavar="DIR", help="folder to write to (default: out/<prompt>-<seed>)")
    parser.add_argument(
        "--mesh", action=argparse.BooleanOptionalAction, default=True, help="also make a mesh (default: yes)"
    )
    opt.add_grid(parser)
    opt.add_sampling(parser)
    opt.add_model(parser)
    opt.add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    prompt = check_prompt(options.prompt)
    if options.out is not None and not options.out.strip():
        raise InputError("argument --out: expected a folder's name, got blank text")
    if options.seed + options.n - 1 > opt.MAX_SEED:
        raise InputError(f"argument --seed: expected seeds up to {opt.MAX_SEED}, got {options.seed} + {options.n - 1}")
    folder = Path(options.out) if options.out else Path("out") / f"{slug(prompt)}-{options.seed}"
    subfolders = [str(i) for i in range(options.n)] if options.n > 1 else [""]
    start = time.perf_counter()
    # The folder comes first: whether it can be written is known before anything slow begins.
    with result_folder(folder, options.n * BYTES_PER_RESULT) as staging, Bar() as bar:
        import enpointe

        pipeline = enpointe.load(options.model, device=options.device)
        warnings = pipeline.warnings_for(prompt)
        for warning in warnings:
            warn(warning)
        results = pipeline.generate_many(
            [prompt] * options.n,
            [options.seed + i for i in range(options.n)],
            n_points=options.points,
            steps=options.steps,
            guidance=options.guidance,
            sampler=options.sampler,
            progress=bar,
        )
        for result, subfolder in zip(results, subfolders, strict=True):
            meta: dict[str, Any] = {"enpointe": __version__, **result.meta, "prompt": prompt, "seed": result.seed}
            meta["mesh"] = {"grid": options.grid} if options.mesh else None
            mesh = None
            if options.mesh:
                began = time.perf_counter()
                mesh = pipeline.mesh(result.cloud, grid_size=options.grid, progress=bar)
                meta["seconds"] = {**meta.get("seconds", {}), "mesh": round(time.perf_counter() - began, 3)}
            with writing(folder / subfolder):
                (staging / subfolder).mkdir(exist_ok=True)
                write_result(staging / subfolder, result.cloud, mesh, meta)
        files = {subfolder: sorted(path.name for path in (staging / subfolder).iterdir()) for subfolder in subfolders}
    seconds = round(time.perf_counter() - start, 3)
    machine = {
        "prompt": prompt,
        "folder": str(folder),
        "seconds": seconds,
        "warnings": warnings,
        "results": [
            {"seed": options.seed + i, "files": {name: str(folder / subfolder / name) for name in files[subfolder]}}
            for i, subfolder in enumerate(subfolders)
        ],
    }
    where = "".join(f"\n  {folder / subfolder}" for subfolder in subfolders) if options.n > 1 else f" {folder}"
    words = f"wrote {', '.join(files[subfolders[0]])} in {seconds:.1f} s to{where}"
    report(f"{words}\nlook at {folder / subfolders[0] / 'view.html'}", machine, options.json)


def write_result(folder: Path, cloud: PointCloud, mesh: Mesh | None, meta: Mapping[str, Any]) -> None:
    """All files of one sample; `meta` (JSON values) goes into each format that can carry it, and into meta.json."""
    from enpointe.geometry import export, plot, viewer

    for name in ("cloud.ply", "cloud.npz"):
        export.save_cloud(cloud, folder / name, provenance=meta)
    if mesh is not None:
        export.save_mesh(mesh, folder / "mesh.glb", provenance=meta)
    export.save_image(plot.views(cloud), folder / "views.png")
    viewer.save_viewer(folder / "view.html", cloud=cloud, mesh=mesh, title=meta["prompt"])
    text = json.dumps(meta, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "meta.json").write_text(text + "\n", encoding="utf-8")
