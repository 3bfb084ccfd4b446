"""P-FID of many clouds: clouds a second and peak memory, of the released network and of the embedded one.

    python -m benchmarks.p_fid --clouds 10000      # writes results/p_fid.json

The clouds are procedural objects of every family, stretched and thinned anew each time, in an NPZ file as the
release's scripts take it; the second half is the reference of the first. Each run is a process of its own: it streams
the file through the network and computes P-FID and P-IS with their intervals. The released network has random
weights, so that its scores say nothing; its time is what it is. It is also run in float32 (--float32).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Report, Row, arguments, limit_cores, run_child

POINTS = 4096
AT_ONCE = 64
MINUTES, GIGABYTES = 15.0, 3.0
"""What 10,000 clouds may take on two cores."""


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--clouds", type=int, default=10_000, metavar="N", help="(default: 10000)")
    parser.add_argument("--float32", action="store_true", help="the released network in float32 too")
    parser.add_argument("--child", nargs=2, metavar=("WHAT", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    clouds = 48 if options.quick else options.clouds
    if options.child is not None:
        _child(options.child[0], Path(options.child[1]), clouds, options.cores)
        return
    report = Report("p_fid", options)
    runs = ["released bfloat16", *(["released float32"] if options.float32 else []), "pocket bfloat16"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.p_fid", "--cores", str(options.cores), "--clouds", str(clouds)]
        file = str(Path(folder) / "clouds.npz")
        run_child([*command, "--child", "clouds", file])
        rows = [_row(run, clouds, [*command, "--child", run, file]) for run in runs]
    report.table(f"{clouds} clouds of {POINTS} points", rows)
    for row in rows:
        report.target(
            f"{row['network']}: 10,000 clouds", 10_000 / row["clouds/s"] / 60 + row["scores s"] / 60, MINUTES, "minutes"
        )
        report.target(f"{row['network']}: peak memory", row["peak GB"], GIGABYTES, "GB")
    report.save()


def _row(run: str, clouds: int, command: list[str]) -> Row:
    child = run_child(command)
    found = json.loads(child.stdout)
    return {
        "network": run,
        "clouds/s": round(clouds / found["features s"], 2),
        "features s": round(found["features s"], 1),
        "scores s": round(found["scores s"], 1),
        "whole process s": round(child.seconds, 1),
        "CPU s": round(child.user + child.system, 1),
        "peak GB": round(child.peak / 1e9, 3),
        "P-FID": found["P-FID"],
        "P-IS": found["P-IS"],
    }


def _child(what: str, file: Path, clouds: int, cores: int) -> None:
    limit_cores(cores)
    if what == "clouds":
        np.savez(file, arr_0=make_clouds(clouds))
        return
    print(json.dumps(measure(what, file)))


def make_clouds(n: int, seed: int = 0) -> NDArray[np.float32]:
    """(n, POINTS, 3): the families in turn, stretched along each axis, other points each time."""
    from enpointe.data.procedural.families import FAMILIES
    from enpointe.data.procedural.sampling import sample_surface

    rng = np.random.default_rng(seed)
    shapes = [
        sample_surface(family.assemble(rng), 2 * POINTS, rng).points.astype(np.float32)
        for family in list(FAMILIES.values())[:n]
    ]
    clouds = np.empty((n, POINTS, 3), np.float32)
    for i in range(n):
        shape = shapes[i % len(shapes)]
        clouds[i] = shape[rng.permutation(len(shape))[:POINTS]] * rng.uniform(0.8, 1.25, 3)
    return clouds


def measure(what: str, file: Path) -> dict[str, Any]:
    """One run in this process, of a network in a precision: seconds of features and scores, and the scores."""
    import torch

    from enpointe.evaluation.classifiers import load_classifier
    from enpointe.evaluation.measures.classifier_scores import p_fid, p_is
    from enpointe.evaluation.measures.features import extract
    from enpointe.evaluation.samples.npz_stream import stream_clouds
    from enpointe.nn.pointnet2 import PointNet2

    network, precision = what.split()
    torch.manual_seed(0)
    classifier = load_classifier("pocket").network if network == "pocket" else PointNet2().requires_grad_(False).eval()
    start = time.perf_counter()
    found = extract(classifier, stream_clouds(str(file), AT_ONCE), dtype=getattr(torch, precision))
    features = time.perf_counter() - start
    start = time.perf_counter()
    half = len(found.features) // 2
    distance = p_fid(found.features[:half], found.features[half:])
    inception = p_is(found.probabilities[:half])
    return {
        "features s": features,
        "scores s": time.perf_counter() - start,
        "P-FID": round(distance.value, 4),
        "P-IS": round(inception.value, 4),
    }


if __name__ == "__main__":
    main()
