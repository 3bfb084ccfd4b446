"""The plain networks give the numbers of the package's, and hold all attention weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from benchmarks.plain import ReferencePoints, ReferenceSDF, plain_attention

from enpointe.nn.point_transformer import PointTransformerConfig
from enpointe.nn.sdf import SDFTransformer

SINGLE, HALF = 1e-5, 3e-2
SMALL = {
    "vector": PointTransformerConfig(width=64, layers=2, heads=4, vector=24, vector_as_token=True),
    "vector and time added": PointTransformerConfig(width=64, layers=2, heads=4, vector=24, time_as_token=False),
    "grid": PointTransformerConfig(width=64, layers=2, heads=4, grids=(("image", 40),)),
    "upsampler": PointTransformerConfig(
        width=64, layers=2, heads=4, grids=(("image", 40),), low_res=True, channel_scales=(2.0,) * 6
    ),
}


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.float() - expected).norm() / expected.norm())


@pytest.mark.parametrize("name", SMALL)
@torch.no_grad()
def test_reference_and_network_agree(name: str) -> None:
    torch.manual_seed(0)
    network = SMALL[name].build().eval()
    torch.nn.init.normal_(network.output_proj.weight, std=0.1)
    cond: dict[str, Any] = {"vector": torch.randn(2, 24)} if SMALL[name].vector else {}
    if SMALL[name].grids:
        cond["grids"] = {"image": torch.randn(2, 40, 9)}
    if SMALL[name].low_res:
        cond["low_res"] = torch.randn(2, 6, 11)
    x, t = torch.randn(2, 6, 13), torch.tensor([500.0, 3.0])
    expected = ReferencePoints(network)(x, t, **cond)
    assert relative(network(x, t, **cond), expected) < SINGLE
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert relative(network(x, t, prepared=network.prepare(2, **cond)), expected) < HALF


@torch.no_grad()
def test_reference_and_sdf_network_agree() -> None:
    torch.manual_seed(0)
    network = SDFTransformer(width=32, encoder_layers=2, encoder_heads=2, decoder_layers=2, decoder_heads=2).eval()
    points, queries = torch.rand(1, 3, 30) - 0.5, torch.rand(1, 3, 17) - 0.5
    plain = ReferenceSDF(network)
    expected = plain.decode(plain.encode(points), queries)
    assert relative(network(points, queries), expected) < SINGLE
    prepared = network.prepare(network.encode(points))
    assert relative(network.decode(prepared, queries), expected) < SINGLE


@pytest.mark.slow
def test_reference_holds_all_attention_weights() -> None:
    """That is the way it is a yardstick for."""
    q = torch.randn(1, 128, 2, 16)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        plain_attention(q, q, q)
    assert max(event.cpu_memory_usage for event in profile.events()) >= 2 * 128 * 128 * 4
