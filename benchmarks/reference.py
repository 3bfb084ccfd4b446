"""How far our networks are from the plain reference of `benchmarks.plain`, on the same weights.

One evaluation of every released architecture at its true width and depth, with fewer points: relative errors in
float32, where only the order of additions differs, and in bfloat16 with the conditions prepared once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks.common import Report, Row, arguments
from benchmarks.plain import ReferencePoints, ReferenceSDF
from benchmarks.speed import network_of
from enpointe.checkpoints.released import RELEASED
from enpointe.nn.point_transformer import PointTransformer
from enpointe.nn.sdf import SDFTransformer

MODELS = ("base40M-uncond", "base40M-textvec", "base40M", "upsample", "base300M")
SINGLE, HALF = 1e-5, 3e-2
"""The largest relative errors that are in order."""


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found.float() - expected).norm() / expected.norm())


@torch.no_grad()
def point_errors(name: str, n_points: int) -> tuple[float, float]:
    """In float32 and in bfloat16, of a guided pair: the second sample's conditions are zeros."""
    (single, _), (half, _) = network_of(name), network_of(name, torch.bfloat16)
    assert isinstance(single, PointTransformer)
    assert isinstance(half, PointTransformer)
    generator, config, pair = torch.Generator().manual_seed(0), RELEASED[name].config, torch.tensor([1.0, 0.0])
    cond: dict[str, Any] = {}
    if config.vector:
        cond["vector"] = torch.randn(2, config.vector, generator=generator) * pair[:, None] / config.vector**0.5
    if config.grids:
        drawn = torch.randn(2, config.grids[0][1], 256, generator=generator)
        cond["grids"] = {config.grids[0][0]: drawn * pair[:, None, None]}
    if config.low_res:
        cond["low_res"] = torch.rand(2, 6, n_points, generator=generator) - 0.5
    x, t = torch.randn(2, 6, n_points, generator=generator), torch.tensor([500.0, 20.0])
    expected = ReferencePoints(single)(x, t, **cond)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        halves = [
            half(x[i : i + 1], t[i : i + 1], prepared=half.prepare(1, **_row(cond, i))) for i in range(2)
        ]  # apart: the equal tokens of zeros become one
    return relative(single(x, t, **cond), expected), relative(torch.cat(halves), expected)


def _row(cond: dict[str, Any], i: int) -> dict[str, Any]:
    return {name: _row(value, i) if isinstance(value, dict) else value[i : i + 1] for name, value in cond.items()}


@torch.no_grad()
def sdf_errors(n_points: int) -> tuple[float, float]:
    """In float32 and in bfloat16."""
    network, _ = network_of("sdf")
    assert isinstance(network, SDFTransformer)
    generator, plain = torch.Generator().manual_seed(0), ReferenceSDF(network)
    points, queries = (torch.rand(1, 3, n_points, generator=generator) - 0.5 for _ in range(2))
    expected = plain.decode(plain.encode(points), queries)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = network.decode(network.prepare(network.encode(points)), queries)
    return relative(network(points, queries), expected), relative(half, expected)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--points", type=int, default=256, metavar="N")
    options = parser.parse_args()
    report = Report("reference", options)
    names = MODELS[1:2] if options.quick else MODELS
    n_points = 32 if options.quick else options.points
    found = {name: point_errors(name, n_points) for name in names} | {"sdf": sdf_errors(n_points)}
    rows: list[Row] = [{"network": name, "float32": single, "bfloat16": half} for name, (single, half) in found.items()]
    report.table("relative errors against the plain reference", rows)
    report.target("float32", max(single for single, _ in found.values()), SINGLE, "relative error")
    report.target("bfloat16", max(half for _, half in found.values()), HALF, "relative error")
    report.save()


if __name__ == "__main__":
    main()
