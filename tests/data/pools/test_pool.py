"""The pool file: the same bytes however it was made, fair draws, and damage refused."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file
from scipy.spatial import cKDTree

from enpointe.core.errors import InputError, OutputError
from enpointe.core.progress import Progress
from enpointe.data.pools import pool
from enpointe.data.pools.pool import Pool
from enpointe.data.procedural.families import CYCLE, FAMILIES, RARE


def contents(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    with safe_open(path, "numpy") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118 - not a mapping


@pytest.mark.slow
def test_any_number_of_workers_gives_the_same_bytes(tmp_path: Path) -> None:
    options: dict[str, Any] = {"n_clouds": 40, "n_points": 50, "n_queries": 10, "seed": 1}  # more than one chunk
    seen: list[Progress] = []
    pool.build(tmp_path / "one", workers=1, progress=seen.append, **options)
    pool.build(tmp_path / "two", workers=2, **options)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert seen == [Progress("clouds", i, 40) for i in range(1, 41)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_arrays_stay_in_the_file(pool_path: Path) -> None:
    """Read-only views of a map of the file, as safetensors has them."""
    read, (arrays, _) = pool.read(pool_path), contents(pool_path)
    for name, array in arrays.items():
        found = getattr(read, name)
        assert type(found) is np.ndarray
        assert isinstance(found.base, np.memmap)
        assert not found.flags.writeable
        assert np.array_equal(found, array, equal_nan=name == "sdf")


def test_seeds_differ(pool_path: Path, tmp_path: Path) -> None:
    pool.build(tmp_path / "other", n_clouds=2, n_points=600, n_queries=64, workers=1, seed=4)
    assert not np.array_equal(pool.read(tmp_path / "other").points, pool.read(pool_path).points[:2])


def test_what_it_holds(small_pool: Pool) -> None:
    assert len(small_pool) == 20
    assert small_pool.family == list(FAMILIES)[:20]
    assert small_pool.points.shape == (20, 600, 3)
    assert small_pool.queries.shape == (20, 64, 3)
    for index in range(20):
        points = small_pool.draw(index, 600, np.random.default_rng(0)).points
        assert points.dtype == np.float32
        extent = points.max(0) - points.min(0)
        assert np.abs(points).max() <= 0.5 + 1e-4
        assert 0.9 < extent.max() <= 1 + 1e-4
        assert small_pool.slot[index].max() < len(FAMILIES[small_pool.family[index]].slots)


def test_rare_families_come_a_third_as_often(small_pool: Pool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert Counter(CYCLE) == {name: 1 if name in RARE else 3 for name in FAMILIES}
    assert small_pool.family == list(CYCLE[:20])
    monkeypatch.setattr(pool, "CYCLE", ("car", "plate", "car"))
    pool.build(tmp_path / "p", n_clouds=7, n_points=4, n_queries=4, workers=1)
    assert pool.read(tmp_path / "p").family == ["car", "plate", "car", "car", "plate", "car", "car"]


def test_draws_are_a_function_of_the_generator(small_pool: Pool) -> None:
    for index in (0, 7):
        one, two = (small_pool.draw(index, 100, np.random.default_rng(5)) for _ in range(2))
        assert np.array_equal(one.points, two.points)
        assert np.array_equal(one.colors, two.colors)
        assert (one.caption, one.key) == (two.caption, two.key)
    rng = np.random.default_rng(5)
    assert len({small_pool.draw(0, 10, rng).caption for _ in range(20)}) > 5


@pytest.mark.slow
def test_a_draw_is_points_of_the_object_each_in_its_slots_paint(small_pool: Pool) -> None:
    rng = np.random.default_rng(0)
    for index in range(20):
        drawn = small_pool.draw(index, 250, rng)
        assert drawn.points.shape == drawn.colors.shape == (250, 3)
        assert drawn.colors.min() >= 0
        assert drawn.colors.max() <= 1
        assert drawn.key == f"{small_pool.family[index]}/{index}"
        stored = {tuple(p): int(s) for p, s in zip(small_pool.points[index], small_pool.slot[index], strict=True)}
        scale = np.abs(small_pool.points[index]).max() / np.abs(small_pool.draw(index, 600, rng).points).max()
        slots = np.array([stored[tuple(p)] for p in np.round(drawn.points * scale).astype(int)])
        for slot in set(slots):
            assert len(np.unique(drawn.colors[slots == slot], axis=0)) == 1


def test_more_points_than_stored_come_again(small_pool: Pool) -> None:
    drawn = small_pool.draw(0, 1000, np.random.default_rng(0)).points
    assert np.array_equal(drawn[600:], drawn[:400])


def test_distances_are_to_the_cloud(small_pool: Pool) -> None:
    """Outside, a distance is that to the nearest point seen; inside, no point is nearer than the depth."""
    for index in range(20):
        queries, distance = small_pool.distances(index)
        assert queries.dtype == distance.dtype == np.float32
        assert np.abs(queries).max() <= 0.6 + 1e-4
        assert distance.min() < 0 < distance.max()
        points = small_pool.draw(index, 600, np.random.default_rng(0)).points
        nearest, _ = cKDTree(points).query(queries)
        assert (nearest > np.abs(distance) - 0.006).all()
        spacing = np.quantile(cKDTree(points).query(points, k=8)[0][:, -1], 0.98)
        outside = distance > 0
        assert (nearest - distance)[outside].max() < 0.01 + spacing


def test_split(small_pool: Pool) -> None:
    training, held_out = small_pool.split(0.2)
    assert np.array_equal(np.concatenate([training, held_out]), np.arange(20))
    assert len(held_out) == 4
    assert len(small_pool.split(0.0)[1]) == 1


def change(path: Path, edit: Callable[[dict[str, NDArray[Any]], dict[str, Any]], None]) -> None:
    """Rewrites a pool with arrays or description edited."""
    arrays, metadata = contents(path)
    (key,) = metadata
    header = json.loads(metadata[key])
    edit(arrays, header)
    save_file({name: np.ascontiguousarray(a) for name, a in arrays.items()}, path, metadata={key: json.dumps(header)})


DAMAGE: dict[str, Callable[[dict[str, NDArray[Any]], dict[str, Any]], Any]] = {
    "no array": lambda arrays, header: arrays.pop("sdf"),
    "other type": lambda arrays, header: arrays.update(points=arrays["points"].astype(np.float64)),
    "other size": lambda arrays, header: arrays.update(slot=arrays["slot"][:, :-1]),
    "fewer clouds": lambda arrays, header: arrays.update(queries=arrays["queries"][:-1]),
    "flat": lambda arrays, header: arrays.update(slot=arrays["slot"].ravel()),
    "no clouds": lambda arrays, header: (
        arrays.update({name: a[:0] for name, a in arrays.items()}), header.update(family=[], words=[])
    ),
    "unknown slot": lambda arrays, header: arrays["slot"].__setitem__((0, 0), 200),
    "no families": lambda arrays, header: header.pop("family"),
    "fewer families": lambda arrays, header: header["family"].pop(),
    "unknown family": lambda arrays, header: header["family"].__setitem__(0, "unicorn"),
    "fewer words": lambda arrays, header: header["words"].pop(),
    "odd words": lambda arrays, header: header.update(words=[1] * 20),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_pool_that_does_not_fit_together_is_refused(pool_path: Path, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "p"
    path.write_bytes(pool_path.read_bytes())
    change(path, lambda arrays, header: None)
    assert len(pool.read(path)) == 20
    change(path, DAMAGE[damage])
    with pytest.raises(InputError, match="expected a pool made by"):
        pool.read(path)


def test_damaged_files_are_refused(pool_path: Path, tmp_path: Path) -> None:
    whole, path = pool_path.read_bytes(), tmp_path / "p"
    declared = json.dumps({"points": {"dtype": "I16", "shape": [10**9, 3], "data_offsets": [0, 6 * 10**9]}}).encode()
    liar = struct.pack("<Q", len(declared)) + declared + b"\0" * 900
    for content in (b"", whole[:7], whole[:500], whole[:-1], whole + b"\0", b"\x89PNG" * 200, bytes(4000), liar):
        path.write_bytes(content)
        with pytest.raises(InputError, match="expected a pool made by"):
            pool.read(path)
    for absent in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match="expected a pool made by"):
            pool.read(absent)


def test_a_foreign_safetensors_file_is_refused(tmp_path: Path) -> None:
    save_file({"points": np.zeros((2, 3), np.int16)}, tmp_path / "p")
    with pytest.raises(InputError, match="expected a pool made by"):
        pool.read(tmp_path / "p")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="expected a place to write a pool"):
        pool.build(tmp_path / "no" / "p", n_clouds=1, n_points=4, n_queries=4, workers=1)
