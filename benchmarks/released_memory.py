"""Peak memory of the released models on a CPU in bfloat16, each in a fresh process, with random weights of true sizes.

One evaluation as the preset fast makes it: a guided pair of the base models with their conditions prepared, one sample
of the upsampler with a picture, one batch of queries of the SDF network. A run of many evaluations takes no more.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.common import Report, Row, arguments, run_child

MODELS = ("base40M-uncond", "base40M-textvec", "base40M-imagevec", "base40M", "base300M", "base1B", "upsample", "sdf")
LIMITS = {"base1B": 5.0, "upsample": 1.5}
"""GB that were promised."""


def evaluate(name: str) -> None:
    """One evaluation, in this process."""
    import numpy as np
    import torch

    from benchmarks.random_weights import random_released
    from benchmarks.speed import conditions_of
    from enpointe.checkpoints.released import RELEASED
    from enpointe.core.device import keep_freed_memory
    from enpointe.meshing.field import sdf_field
    from enpointe.nn.point_transformer import PointTransformer
    from enpointe.nn.sdf import SDFTransformer

    keep_freed_memory()
    if name == "sdf":
        sdf = random_released(name)
        assert isinstance(sdf, SDFTransformer)
        rng = np.random.default_rng(0)
        field = sdf_field(sdf, rng.uniform(-0.5, 0.5, (4096, 3)).astype(np.float32), torch.device("cpu"))
        field(rng.uniform(-0.5, 0.5, (16_384, 3)).astype(np.float32))
        return
    network = random_released(name, dtype=torch.bfloat16)
    assert isinstance(network, PointTransformer)
    n = 1 if name == "upsample" else 2
    x, t = torch.randn(n, 6, RELEASED[name].n_points), torch.full((n,), 500.0)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        network(x, t, prepared=network.prepare(n, **conditions_of(name, image=True, n=n)))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS, metavar="NAME")
    parser.add_argument("--one", choices=MODELS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        evaluate(options.one)
        return
    report = Report("released_memory", options)
    rows: list[Row] = []
    for name in ("sdf",) if options.quick else options.models:
        child = run_child([sys.executable, "-m", "benchmarks.released_memory", "--one", name])
        rows.append({"model": name, "peak GB": round(child.peak / 1e9, 2)})
        print(rows[-1], flush=True)
        if name in LIMITS:
            report.target(name, child.peak / 1e9, LIMITS[name], "GB")
    report.table("peak resident memory of a process", rows)
    report.save()


if __name__ == "__main__":
    main()
