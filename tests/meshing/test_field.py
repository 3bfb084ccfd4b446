"""The SDF network as a field: any chunks, the right sign, the right surface."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.geometry.point_cloud import PointCloud
from enpointe.meshing.field import sdf_field
from enpointe.nn.sdf import SDFConfig
from enpointe.nn.sight import SightSDF, nearest_offsets

Floats = NDArray[np.float32]
MakeCloud = Callable[..., PointCloud]
CPU = torch.device("cpu")


@pytest.fixture
def queries() -> Floats:
    return np.random.default_rng(1).uniform(-0.51, 0.51, (1000, 3)).astype(np.float32)


@pytest.mark.parametrize("chunk", [1, 7, 256, 999, 1000, 1001])
@pytest.mark.slow
def test_the_chunk_size_does_not_matter(tiny_sdf: SightSDF, capsule: MakeCloud, queries: Floats, chunk: int) -> None:
    queries = queries[:50] if chunk == 1 else queries
    points = capsule(64).points
    whole = sdf_field(tiny_sdf, points, CPU)(queries)
    parts = sdf_field(tiny_sdf, points, CPU, chunk=chunk)(queries)
    assert parts.shape == (len(queries),)
    assert parts.dtype == np.float32
    assert np.abs(parts - whole).max() <= 0.01  # bfloat16 rounds by 1 part in 256


@pytest.mark.slow
def test_positive_inside_near_the_distance(
    tiny_sdf: SightSDF, capsule: MakeCloud, queries: Floats, distance: Callable[[Floats], Floats]
) -> None:
    values, exact = sdf_field(tiny_sdf, capsule(64, seed=99).points, CPU)(queries), distance(queries)
    assert np.abs(values - exact).mean() < 0.03
    clear = np.abs(exact) > 0.1
    assert 50 < (exact[clear] > 0).sum() < 900
    assert ((values > 0) == (exact > 0))[clear].mean() > 0.99


def test_the_field_is_the_networks_own_answer(tiny_sdf: SightSDF, capsule: MakeCloud, queries: Floats) -> None:
    points = capsule(64).points
    cloud, asked = (torch.from_numpy(part.T.copy())[None] for part in (points, queries))
    with torch.inference_mode():
        nearest = nearest_offsets(cloud, asked, tiny_sdf.nearest)
        exact = tiny_sdf.decode(tiny_sdf.encode(cloud), asked, nearest)[0].numpy()
    assert np.abs(sdf_field(tiny_sdf, points, CPU, dtype=torch.float32)(queries) - exact).max() < 1e-4
    assert np.abs(sdf_field(tiny_sdf, points, CPU)(queries) - exact).max() < 0.02


def test_each_field_keeps_its_own_cloud(tiny_sdf: SightSDF, capsule: MakeCloud, queries: Floats) -> None:
    one, other = sdf_field(tiny_sdf, capsule(64).points, CPU), sdf_field(tiny_sdf, capsule(64).points * 0.3, CPU)
    before = one(queries)
    assert np.abs(other(queries) - before).max() > 1e-3
    assert np.array_equal(one(queries), before)


def test_views_of_arrays_and_no_queries(tiny_sdf: SightSDF, capsule: MakeCloud, queries: Floats) -> None:
    points = capsule(64).points
    field = sdf_field(tiny_sdf, points, CPU)
    assert np.array_equal(field(queries[::2]), field(queries[::2].copy()))
    assert np.array_equal(sdf_field(tiny_sdf, np.asfortranarray(points), CPU)(queries), field(queries))
    assert field(queries[:0]).shape == (0,)


def test_progress_counts_every_query_once(tiny_sdf: SightSDF, capsule: MakeCloud, queries: Floats) -> None:
    told: list[int] = []
    field = sdf_field(tiny_sdf, capsule(64).points, CPU, chunk=300, progress=told.append)
    assert told == []
    field(queries)
    assert told == [300, 300, 300, 100]
    field(queries[:5])
    assert told[4:] == [5]


@pytest.mark.parametrize("chunk", [33, 1000])
def test_the_releases_network_reads_all_points(capsule: MakeCloud, queries: Floats, chunk: int) -> None:
    torch.manual_seed(0)
    config = SDFConfig(width=32, encoder_layers=1, encoder_heads=2, decoder_layers=1, decoder_heads=2)
    network, points = config.build().eval(), capsule(1100).points
    with torch.inference_mode():
        exact = network(torch.from_numpy(points.T.copy())[None], torch.from_numpy(queries.T.copy())[None])[0].numpy()
    assert exact.std() > 1e-3
    assert np.abs(sdf_field(network, points, CPU, dtype=torch.float32, chunk=chunk)(queries) - exact).max() < 1e-5


def test_clouds_with_fewer_points_than_a_query_is_shown(
    tiny_sdf: SightSDF, capsule: MakeCloud, queries: Floats
) -> None:
    points = capsule(64).points[:4]
    assert np.isfinite(sdf_field(tiny_sdf, points, CPU)(queries)).all()
    with pytest.raises(InputError, match="at least 4 points, found 3"):
        sdf_field(tiny_sdf, points[:3], CPU)
