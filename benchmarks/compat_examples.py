"""The release's three published examples through `point_e`, with true sizes and random weights: seconds a stage.

What is measured is the release's settings (float32, 64 Heun steps, a dense grid of 128) on this package's networks.
CLIP is left out: its vectors and grids are drawn at random. With fewer --steps the seconds of the full run follow
from those of an evaluation, which are told.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import Report, arguments, limit_cores
from point_e.diffusion.configs import DIFFUSION_CONFIGS, diffusion_from_config
from point_e.diffusion.sampler import PointCloudSampler
from point_e.models.configs import MODEL_CONFIGS, model_from_config
from point_e.models.download import MODEL_PATHS, load_checkpoint
from point_e.util.pc_to_mesh import marching_cubes_mesh
from point_e.util.point_cloud import PointCloud

FULL_STEPS = 64
TINY_WIDTH = {"width": 16}
COUNTS = (1024, 3072)
EXAMPLES: dict[str, dict[str, Any]] = {
    "text": {"base": "base40M-textvec", "shape": (1, 768), "guidance": (3.0, 0.0), "filter": ("embeddings", "")},
    "picture": {"base": "base40M", "shape": (1, 1024, 256), "guidance": (3.0, 3.0), "filter": ("*",)},
}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument(
        "--steps", type=int, default=FULL_STEPS, help=f"Heun steps of each stage (release: {FULL_STEPS})"
    )
    parser.add_argument("--grid", type=int, default=128, help="samples along a side of the mesh's grid (release: 128)")
    parser.add_argument("--base", help="another base model of the picture's example, such as base300M")
    parser.add_argument("--only", choices=[*EXAMPLES, "mesh"], help="one of the examples")
    options = parser.parse_args()
    limit_cores(options.cores)
    if options.quick:
        options.steps, options.grid = 1, 16
        for config in MODEL_CONFIGS.values():
            config.update({key: 2 for key in config if key.endswith(("layers", "heads"))} | TINY_WIDTH)
    if options.base:
        EXAMPLES["picture"]["base"] = options.base
    report = Report("compat_examples", options)
    with tempfile.TemporaryDirectory() as folder:
        for name, example in EXAMPLES.items():
            if options.only in (None, name):
                report.table(f"{name} to cloud", list(cloud_rows(example, options.steps, Path(folder))))
        if options.only in (None, "mesh"):
            report.table("cloud to mesh", list(mesh_rows(options.grid, Path(folder))))
    report.save()


def loaded(name: str, folder: Path) -> tuple[Any, float]:
    """A network with random weights that went through a checkpoint of the release's form, and the seconds it took.

    A tiny one (--quick) has no such form: it is only built.
    """
    if MODEL_CONFIGS[name]["width"] == TINY_WIDTH["width"]:
        return model_from_config(MODEL_CONFIGS[name], "cpu").eval(), 0.0
    path = folder / MODEL_PATHS[name].rsplit("/", 1)[-1]
    if not path.exists():
        network = model_from_config(MODEL_CONFIGS[name], "cpu")
        torch.nn.init.normal_(network.output_proj.weight, std=0.01)
        torch.save(network.state_dict(), path)
    began = time.perf_counter()
    network = model_from_config(MODEL_CONFIGS[name], "cpu").eval()
    network.load_state_dict(load_checkpoint(name, "cpu", cache_dir=str(folder)))
    return network, time.perf_counter() - began


def cloud_rows(example: dict[str, Any], steps: int, folder: Path) -> Iterator[dict[str, Any]]:
    names = (example["base"], "upsample")
    networks = [loaded(name, folder) for name in names]
    sampler = PointCloudSampler(
        device=torch.device("cpu"),
        models=[network for network, _ in networks],
        diffusions=[diffusion_from_config(DIFFUSION_CONFIGS[name]) for name in names],
        num_points=COUNTS,
        aux_channels=["R", "G", "B"],
        guidance_scale=example["guidance"],
        model_kwargs_key_filter=example["filter"],
        karras_steps=[steps, steps],
    )
    torch.manual_seed(0)
    run = sampler.sample_batch_progressive(1, {"embeddings": torch.randn(example["shape"])})
    for i, name in enumerate(names):
        began = time.perf_counter()
        for _ in range(steps + 1):
            next(run)
        seconds = time.perf_counter() - began
        each = seconds / (2 * steps - 1)
        yield {
            "stage": name,
            "load s": round(networks[i][1], 2),
            "evaluations": 2 * steps - 1,
            "s": round(seconds, 2),
            "s each": round(each, 3),
            "s at 64 steps": round(each * (2 * FULL_STEPS - 1), 1),
        }


def mesh_rows(grid: int, folder: Path) -> Iterator[dict[str, Any]]:
    network, load = loaded("sdf", folder)
    points = torch.nn.functional.normalize(torch.randn(4096, 3), dim=1).numpy() * 0.4
    cloud = PointCloud(points, {name: torch.rand(4096).numpy() for name in "RGB"})
    began = time.perf_counter()
    mesh = marching_cubes_mesh(cloud, network, batch_size=4096, grid_size=grid)
    seconds = time.perf_counter() - began
    batches = math.ceil(grid**3 / 4096)
    yield {
        "stage": "sdf",
        "load s": round(load, 2),
        "batches of 4,096": batches,
        "s": round(seconds, 2),
        "s each": round(seconds / batches, 3),
        "s at 128": round(seconds / batches * 512, 1),
        "faces": len(mesh.faces),
    }


if __name__ == "__main__":
    main()
