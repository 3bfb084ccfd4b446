"""How well the embedded classifier names objects, and what its P-FID makes of known differences.

    python -m benchmarks.classifier --data POOL [--weights FILE] [--quality JSON]

On the held-out objects of the pool that it was trained on: shares that are named rightly, at 1,024 and 4,096 points.
On fresh procedural objects, four of each family: the same, and P-FID between two sets of them, of which the second is
changed in a known way: other objects, noise, fewer families, stretched, turned. With --quality the first part is also
written to a file, for `python -m enpointe.training.embed RUN classifier --quality JSON`. Measured twice, with the
weights as they are and rounded to float16.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import Report, Row, arguments
from enpointe.checkpoints.embedded import embedded_path, read_network
from enpointe.core.config import from_dict
from enpointe.data.datasets import open_dataset
from enpointe.data.procedural.families import FAMILIES
from enpointe.data.procedural.sampling import sample_surface
from enpointe.evaluation.measures.classifier_scores import p_fid
from enpointe.evaluation.measures.features import extract
from enpointe.nn.pointnet2 import PointNet2, PointNet2Config
from enpointe.training.tasks.pocket_classifier import ClassifierTask, ClassifierTaskConfig, held_out_objects, quality

SEED = 20_000
"""Far from the seeds that pools are made with."""
EACH = 4
POINTS = 4096
PLAIN = "as they are"


def fresh(names: tuple[str, ...], each: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
    """Clouds (n, POINTS, 3) of `each` objects of every family, and their names (n,)."""
    clouds, labels = [], []
    for number, name in enumerate(names):
        for turn in range(each):
            rng = np.random.default_rng((SEED, seed, number, turn))
            clouds.append(sample_surface(FAMILIES[name].assemble(rng), POINTS, rng).points.astype(np.float32))
            labels.append(name)
    return np.stack(clouds), np.array(labels)


def changes(clouds: NDArray[np.float32], labels: NDArray[np.str_], second: NDArray[np.float32]) -> dict[str, Any]:
    """What the first set is held against: the second one as it is, and changed."""
    rng = np.random.default_rng(0)
    third = np.isin(labels, np.unique(labels)[::3])
    angle = np.radians(45)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]], np.float32)
    return {
        "other objects of the same families": second,
        "the same, 1,024 points": second[:, :1024],
        "the same, noise 0.01": second + rng.normal(0, 0.01, second.shape).astype(np.float32),
        "the same, noise 0.03": second + rng.normal(0, 0.03, second.shape).astype(np.float32),
        "the same, 1.3 times as high": second * np.array([1, 1, 1.3], np.float32),
        "the same, turned by 45 degrees": second @ turn.T,
        "a third of the families": second[third],
    }


def compared(networks: dict[str, PointNet2], families: tuple[str, ...], each: int, classes: list[str]) -> list[Row]:
    """A row for each change: P-FID by every network and in bfloat16, and the share that is still named rightly."""
    (first, labels), (second, _) = (fresh(families, each, seed) for seed in (0, 1))
    ways = {name: (network, torch.float32) for name, network in networks.items()}
    ways["bfloat16"] = (networks[PLAIN], torch.bfloat16)
    ours = {way: extract(network, [first], dtype=dtype).features for way, (network, dtype) in ways.items()}
    rows: list[Row] = []
    for name, clouds in changes(first, labels, second).items():
        found = {way: extract(network, [clouds], dtype=dtype) for way, (network, dtype) in ways.items()}
        whole = len(clouds) == len(labels)
        right = np.array(classes)[found[PLAIN].probabilities.argmax(axis=1)] == labels if whole else None
        rows.append(
            {
                "against": name,
                "clouds": len(clouds),
                **{f"P-FID, {way}": round(p_fid(ours[way], found[way].features, resamples=0).value, 3) for way in ways},
                "named rightly": None if right is None else round(float(right.mean()), 4),
            }
        )
    return rows


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, help="the pool that it was trained on; without it only fresh objects")
    parser.add_argument("--weights", type=Path, help="(default: the embedded ones)")
    parser.add_argument("--quality", type=Path, metavar="JSON", help="where to write the held-out objects' part too")
    options = parser.parse_args()
    report = Report("classifier", options)
    network, weights = read_network(options.weights or embedded_path("classifier"), PointNet2)
    networks = {PLAIN: network, "rounded to float16": copy.deepcopy(network).half().float()}
    classes = weights.info["classes"]
    report.note("weights", weights.sha256)
    if options.data is not None:
        held_out(report, options, networks, weights.info)

    families = tuple(name for name in FAMILIES if name in classes)[: 6 if options.quick else None]
    each = 2 if options.quick else EACH
    report.table(f"{each * len(families)} fresh objects", compared(networks, families, each, classes))
    report.save()


def held_out(report: Report, options: Any, networks: dict[str, PointNet2], info: dict[str, Any]) -> None:
    """The held-out objects' part: a table, and the file of --quality, which tells of the rounded weights."""
    task = ClassifierTask(open_dataset(options.data), ClassifierTaskConfig(from_dict(PointNet2Config, info["config"])))
    assert list(task.classes) == info["classes"], "another pool than it was trained on"
    rows, found = [], {}
    for name, network in networks.items():
        found = quality(held_out_objects(task.data), task.classes, network)
        rows += [
            {"weights": name, "size": size, **{key: value for key, value in at.items() if key != "mistakes"}}
            for size, at in found.items()
            if isinstance(at, dict)
        ]
    report.table(f"{found['objects']} held-out objects, {found['real models']} of them real models", rows)
    if options.quality is not None:
        options.quality.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
