"""What the embedded base stage has learned of the procedural families.

First table: squared error of the denoised x, y, z by noise level, of the network that the pipeline uses there. Where
that is the detail network, beside it the least that is possible for somebody who knows the very object, but not which
of its points is which (the exact posterior mean over its dense cloud).

Second table: prompts sampled, and each cloud compared with true clouds of every family by chamfer distance: how
often the nearest one is of the family that was asked for, and how far the nearest one of that family is.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from enpointe.diffusion.denoiser import ExpertDenoiser, FlowDenoiser
from enpointe.geometry.point_cloud import PointCloud
from enpointe.nn.detail import Detail
from enpointe.nn.kd_order import in_kd_order
from enpointe.nn.layout import Layout
from enpointe.pipelines.base import Pipeline
from enpointe.pipelines.families.pocket.base_stage import DETAIL_SIGMA, Preset
from enpointe.training.text_to_cloud import to_model

SIGMAS = (0.03, 0.06, 0.12, 0.25, 0.5, 1.0, 2.0, 4.0, 12.0)
SHAPE_POINTS = 512


@torch.inference_mode()
def errors_by_level(layout: Path, detail: Path, families: Sequence[str]) -> list[Row]:
    """The first table, over one object of each family."""
    coarse, weights = read_network(layout, Layout)
    denoiser = ExpertDenoiser(FlowDenoiser(coarse), FlowDenoiser(read_network(detail, Detail)[0]), DETAIL_SIGMA)
    rng = np.random.default_rng(0)
    found = [example(name, 4096, rng) for name in families]
    clouds = [cloud for cloud, _ in found]
    dense = to_model(*(torch.from_numpy(np.stack([getattr(c, what) for c in clouds])) for what in ("points", "colors")))
    x0 = in_kd_order(dense[..., : coarse.n_points])
    tokens = text_encoder(torch.device("cpu")).condition([text for _, text in found], weights.info["text_tokens"])
    noise = torch.from_numpy(rng.standard_normal(x0.shape, dtype=np.float32))
    rows: list[Row] = []
    for sigma in SIGMAS:
        x = x0 + sigma * noise
        fine = sigma <= DETAIL_SIGMA
        best = torch.stack([posterior_mean(*each, sigma) for each in zip(x, dense, strict=True)]) if fine else None
        rows.append(
            {
                "sigma": sigma,
                "network": "detail" if fine else "layout",
                "error": error(denoiser(x, sigma, grids={"text": tokens}), x0),
                "least": None if best is None else error(best, x0),
            }
        )
    return rows


def error(denoised: Tensor, x0: Tensor) -> float:
    """Mean squared error of x, y and z."""
    return float((denoised - x0)[:, :3].square().mean())


def posterior_mean(x: Tensor, dense: Tensor, sigma: float) -> Tensor:
    """The best guess of clean points (6, P), knowing the cloud but not which of its points are these."""
    distance = torch.cdist(x.T, dense.T).square() / (2 * sigma**2)
    return (torch.softmax(-distance, dim=1) @ dense.T).T


def trees(families: Sequence[str], n: int, seed: int) -> dict[str, list[cKDTree]]:
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
    parser.add_argument("--layout", type=Path, default=embedded_path("layout"), help="for the first table")
    parser.add_argument("--detail", type=Path, default=embedded_path("detail"), help="for the first table")
    parser.add_argument("--families", nargs="+", choices=tuple(FAMILIES), metavar="NAME", default=tuple(FAMILIES))
    parser.add_argument("--guidance", type=float, nargs="+", default=[Preset().guidance_scale])
    parser.add_argument("--steps", type=int, nargs="+", default=[Preset().steps])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--true", type=int, default=5, metavar="N", help="clouds of each family to compare with")
    options = parser.parse_args()
    report = Report("base_quality", options)
    families = options.families[:3] if options.quick else options.families
    report.table("squared error of x, y, z", errors_by_level(options.layout, options.detail, families))
    true = trees(families, 2 if options.quick else options.true, seed=1)
    ceiling = trees(families, 1, seed=2)
    pipeline = enpointe.load("pocket", device="cpu")
    report.table(
        "samples",
        [
            samples(pipeline, true, range(options.seeds), guidance, steps)
            for guidance in options.guidance
            for steps in options.steps
        ],
    )
    known = [min(true, key=lambda f: min(chamfer(c[0], t) for t in true[f])) == name for name, c in ceiling.items()]
    report.note("the same of true clouds", f"nearest is right: {np.mean(known):.3f} of {len(known)}")
    report.save()


if __name__ == "__main__":
    main()
