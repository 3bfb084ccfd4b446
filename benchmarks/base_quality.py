"""What the embedded base model has learned of the families that it was trained on.

First table: squared velocity error of x, y, z by noise level, beside the least that is possible, which is that
of somebody who knows the very object (the exact posterior mean over its dense cloud).

Second table: prompts sampled, and each cloud compared with true clouds of every family by chamfer distance: how
often the nearest one is of the family that was asked for, and how far the nearest one of that family is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

import enpointe
from benchmarks.common import Report, Row, arguments
from benchmarks.objects import example
from enpointe.checkpoints.embedded import embedded_path, read_network, text_encoder
from enpointe.data.procedural.families import FAMILIES
from enpointe.diffusion.schedule import velocity_time
from enpointe.geometry.point_cloud import PointCloud
from enpointe.nn.point_transformer import PointTransformer
from enpointe.pipelines.base import Pipeline
from enpointe.training.tasks.pocket_base import FIRST_FAMILIES, to_model

SIGMAS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 4.0, 12.0)
SHAPE_POINTS = 512


@torch.inference_mode()
def errors_by_level(path: Path, families: tuple[str, ...], n_points: int) -> list[Row]:
    """The first table, over one object of each family."""
    network, weights = read_network(path, PointTransformer)
    rng = np.random.default_rng(0)
    found = [example(name, 4096, rng) for name in families]
    dense = to_model(
        *(torch.from_numpy(np.stack(part)) for part in zip(*((c.points, c.colors) for c, _ in found), strict=True))
    )
    x0 = dense[..., :n_points]
    texts = [text for _, text in found]
    tokens = text_encoder(torch.device("cpu")).condition(texts, weights.info["text_tokens"])
    noise = torch.from_numpy(rng.standard_normal(x0.shape, dtype=np.float32))
    rows: list[Row] = []
    for sigma in SIGMAS:
        angle = float(np.arctan(sigma))
        cos, sin = np.cos(angle), np.sin(angle)
        x, velocity = cos * x0 + sin * noise, cos * noise - sin * x0
        time = velocity_time(torch.full((len(x0),), sigma))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            said = network(x, time, grids={"text": tokens}).float()
        best = torch.stack([least(*each, cos, sin) for each in zip(x, dense, strict=True)])
        rows.append(
            {
                "sigma": sigma,
                "network": float((said - velocity)[:, :3].square().mean()),
                "least": float((best - velocity)[:, :3].square().mean()),
            }
        )
    return rows


def least(x: Tensor, dense: Tensor, cos: float, sin: float) -> Tensor:
    """The best guess of the velocity of a cloud's first points (6, P), knowing the cloud but not which is which."""
    distance = torch.cdist(x.T, cos * dense.T).square() / (2 * sin**2)
    distance.fill_diagonal_(torch.inf)  # its own place would give a point away
    mean = (torch.softmax(-distance, dim=1) @ dense.T).T
    return cos * (x - cos * mean) / sin - sin * mean


def trees(families: tuple[str, ...], n: int, seed: int) -> dict[str, list[cKDTree]]:
    """n true clouds of each family."""
    rng = np.random.default_rng(seed)
    return {name: [cKDTree(_unit(example(name, SHAPE_POINTS, rng)[0])) for _ in range(n)] for name in families}


def _unit(cloud: PointCloud) -> NDArray[np.float32]:
    return cloud.normalized()[0].points[:SHAPE_POINTS]


def chamfer(a: cKDTree, b: cKDTree) -> float:
    """Mean distance to the nearest point, both ways, in the unit frame."""
    return float(a.query(b.data)[0].mean() + b.query(a.data)[0].mean()) / 2


def samples(pipeline: Pipeline, true: dict[str, list[cKDTree]], seeds: range, guidance: float, steps: int) -> Row:
    """One row of the second table."""
    right, distances, taken_for = [], [], []
    for name in true:
        noun = FAMILIES[name].names[0]
        prompt = f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
        for seed in seeds:
            cloud = pipeline.generate(
                prompt, seed=seed, n_points=SHAPE_POINTS, guidance_scale=guidance, progress=False, steps=steps
            ).cloud
            tree = cKDTree(_unit(cloud))
            nearest = {family: min(chamfer(tree, other) for other in others) for family, others in true.items()}
            closest = min(nearest, key=lambda family: nearest[family])
            right.append(closest == name)
            distances.append(nearest[name])
            if closest != name:
                taken_for.append(f"{name}: {closest}")
    return {
        "guidance": guidance, "steps": steps, "samples": len(right), "nearest is right": float(np.mean(right)),
        "chamfer x 100": 100 * float(np.mean(distances)), "taken for": ", ".join(taken_for),
    }  # fmt: skip


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--weights", type=Path, default=embedded_path("base"), help="for the first table")
    parser.add_argument("--guidance", type=float, nargs="+", default=[1, 1.5, 2, 3])
    parser.add_argument("--steps", type=int, nargs="+", default=[16])
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    report = Report("base_quality", options)
    families = FIRST_FAMILIES[:3] if options.quick else FIRST_FAMILIES
    rows = errors_by_level(options.weights, families, 128 if options.quick else 1024)
    report.table("squared velocity error of x, y, z", rows)
    true = trees(families, 2 if options.quick else 20, seed=1)
    ceiling = trees(families, 1, seed=2)
    pipeline = enpointe.load("pocket", device="cpu")
    seeds = range(1 if options.quick else options.seeds)
    report.table(
        "samples",
        [samples(pipeline, true, seeds, guidance, steps) for guidance in options.guidance for steps in options.steps],
    )
    known = [min(true, key=lambda f: min(chamfer(c[0], t) for t in true[f])) == name for name, c in ceiling.items()]
    report.note("the same of true clouds", f"nearest is right: {np.mean(known):.3f} of {len(known)}")
    report.save()


if __name__ == "__main__":
    main()
