"""Records and shards: what is written comes back, is always the same, and damage is reported."""

from __future__ import annotations

import io
import sys
import tarfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from enpointe.core.errors import InputError
from enpointe.data.shards import buckets, tar
from enpointe.data.shards import features as features_package
from enpointe.data.shards import index as shards
from enpointe.data.shards.features import FEATURES
from enpointe.data.shards.features.joint import image_features
from enpointe.data.shards.reader import read_shards
from enpointe.data.shards.records import (
    SCALE,
    Record,
    StoredView,
    decode,
    quantized_normals,
    quantized_points,
    record_id,
    webp,
)
from enpointe.data.shards.store import Store
from enpointe.render.camera import random_cameras

PER_SHARD = 7


def record(number: int, *, n: int = 40, views: int = 2) -> Record:
    rng = np.random.default_rng(number)
    points = rng.uniform(-0.5, 0.5, (n, 3)) * [1, 1, 0.1 if number % 2 else 1]
    normals = rng.standard_normal((n, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    pixels = rng.integers(0, 255, (16, 16, 4), dtype=np.uint8)
    cameras = random_cameras(views, rng, size=16)
    return Record(
        key=f'pack/"thing" {number}\n🪑.obj',
        points=quantized_points(points),
        colors=rng.integers(0, 256, (n, 3), dtype=np.uint8),
        normals=quantized_normals(normals),
        material=rng.integers(-1, 3, n).astype(np.int16),
        views=tuple(StoredView(webp(pixels), camera, webp(pixels[..., :3])) for camera in cameras),
        captions=(f"a thing {number}", "a thing"),
        licence="CC0-1.0",
        creator="somebody",
        source="a pack",
        provenance={"seed": number},
    )


def assert_equal(a: Record, b: Record) -> None:
    for name in ("points", "colors", "normals", "material"):
        ours, theirs = getattr(a, name), getattr(b, name)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    for name in ("key", "captions", "licence", "creator", "source", "provenance"):
        assert getattr(a, name) == getattr(b, name)
    assert len(a.views) == len(b.views)
    for one, other in zip(a.views, b.views, strict=True):
        assert (one.image, one.lit) == (other.image, other.lit)
        assert one.camera.header() == other.camera.header()


def write(folder: Path, count: int) -> list[Record]:
    store = Store(folder)
    records = sorted((record(i) for i in range(count)), key=lambda one: record_id(one.key))
    groups = [records[i : i + PER_SHARD] for i in range(0, count, PER_SHARD)]
    written = [
        shards.write_shard(store, shards.shard_name(i), (one.encode() for one in group))
        for i, group in enumerate(groups)
    ]
    store.write(shards.INDEX, shards.Index(tuple(written)).encode())
    return records


def test_a_record_comes_back_as_it_was() -> None:
    one = record(3)
    (back,) = decode(tar.read(one.encode() + tar.END))
    assert_equal(one, back)
    assert record(3).encode() == one.encode()
    pixels = one.views[0].pixels()
    assert pixels.shape == (16, 16, 4)


def test_positions_are_kept_to_half_a_step() -> None:
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (1000, 3))
    assert np.abs(quantized_points(points) / SCALE - points).max() <= 0.5 / SCALE
    assert 1 / SCALE <= 1 / 4096
    for bad in (np.nan, np.inf, 1.0):
        with pytest.raises(InputError, match="between -1 and 1"):
            quantized_points(np.array([[0, 0, bad]]))


def test_coverage_is_kept_exactly() -> None:
    rng = np.random.default_rng(0)
    pixels = np.full((32, 32, 4), 90, np.uint8)
    pixels[..., 3] = rng.integers(0, 256, (32, 32))
    camera = random_cameras(1, rng, size=32)[0]
    np.testing.assert_array_equal(StoredView(webp(pixels), camera).pixels()[..., 3], pixels[..., 3])


def test_a_shard_is_a_plain_tar_without_times_or_owners(tmp_path: Path) -> None:
    write(tmp_path, 5)
    with tarfile.open(tmp_path / "shard-000000.tar") as archive:
        members = archive.getmembers()
    names = [member.name for member in members]
    assert names == sorted(names)
    assert len(names) == 5 * (5 + 4)
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {(0, 0, 0, "", "", 0o644)}


def test_webdataset_reads_them(tmp_path: Path) -> None:
    wds = pytest.importorskip("webdataset")
    records = write(tmp_path, 9)
    urls = [str(tmp_path / shards.shard_name(i)) for i in range(2)]
    found = list(wds.WebDataset(urls, shardshuffle=False).decode("rgba8"))
    assert [sample["__key__"] for sample in found] == [record_id(one.key) for one in records]
    for sample, one in zip(found, records, strict=True):
        np.testing.assert_array_equal(sample["points.npy"], one.points)
        assert sample["json"]["captions"] == list(one.captions)
        assert sample["view.000.webp"].shape == (16, 16, 4)


def test_every_part_reads_its_share_and_all_of_them_all(tmp_path: Path) -> None:
    records = write(tmp_path, 23)
    everything = Counter(one.key for one in records)
    for parts in (1, 2, 3, 30):
        readers = [read_shards(tmp_path, seed=5, part=part, parts=parts) for part in range(parts)]
        for _ in range(2):
            lengths = [len(reader) for reader in readers]
            read = [[one.key for one in reader] for reader in readers]
            assert [len(keys) for keys in read] == lengths
            assert max(lengths) - min(lengths) <= 1
            assert Counter(key for keys in read for key in keys) == everything


def test_orders_differ_by_seed_and_epoch_only(tmp_path: Path) -> None:
    records = write(tmp_path, 23)
    reader = read_shards(tmp_path, seed=1)
    first, second = ([one.key for one in reader] for _ in range(2))
    assert first != second
    assert first == [one.key for one in read_shards(tmp_path, seed=1)]
    assert first != [one.key for one in read_shards(tmp_path, seed=2)]
    assert [one.key for one in read_shards(tmp_path, shuffle=False)] == [one.key for one in records]


def test_reading_goes_on_where_it_stopped(tmp_path: Path) -> None:
    write(tmp_path, 23)
    whole = read_shards(tmp_path, seed=1, part=1, parts=2)
    wanted = [one.key for _ in range(2) for one in whole]
    for stop in range(len(wanted)):
        reader = read_shards(tmp_path, seed=1, part=1, parts=2)
        seen: list[str] = []
        while len(seen) < stop:
            for one in reader:
                seen.append(one.key)
                if len(seen) == stop:
                    break
        other = read_shards(tmp_path, seed=1, part=1, parts=2)
        other.load_state_dict(reader.state_dict())
        while len(seen) < len(wanted):
            seen += [one.key for one in other]
        assert seen == wanted, stop
    with pytest.raises(InputError, match="expected the state"):
        read_shards(tmp_path, seed=2).load_state_dict(reader.state_dict())


def test_buckets_weigh_records(tmp_path: Path) -> None:
    records = write(tmp_path, 24)
    counts = buckets.write_buckets(tmp_path, 2, features=lambda one: np.ptp(one.points.astype(float), axis=0) / SCALE)
    assert counts == [12, 12]  # the flat and the others
    table = (tmp_path / buckets.TABLE).read_text()
    assert table.splitlines()[1].startswith("0,1,12,")
    (tmp_path / buckets.TABLE).write_text(table.replace("\n0,1,", "\n0,0,").replace("\n1,1,", "\n1,2.5,"))
    reader = read_shards(tmp_path, seed=0)
    flat = {one.key for one in records if np.ptp(one.points[:, 2]) < 0.2 * SCALE}
    expected = len(reader)
    read = Counter(one.key for one in reader)
    assert read.total() == expected
    assert len({key in flat for key in read}) == 1  # one of the two buckets, whole
    assert set(read.values()) == {2, 3}
    assert len(read_shards(tmp_path, weighted=False)) == 24
    (tmp_path / buckets.TABLE).write_text(table.replace("\n0,1,", "\n0,nan,"))
    with pytest.raises(InputError, match="line 2: expected a weight"):
        read_shards(tmp_path)


def test_buckets_by_images_see_them_on_a_light_background(tmp_path: Path) -> None:
    records = write(tmp_path, 8)
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:8] = 200, 30, 30, 255
    views = tuple(replace(view, image=webp(pixels)) for view in records[0].views)
    seen: list[np.ndarray] = []

    def encode(images: Sequence[np.ndarray]) -> np.ndarray:
        seen.extend(images)
        return np.arange(len(images) * 3.0).reshape(-1, 3)

    features = image_features(encode, views=2)
    np.testing.assert_array_equal(features(replace(records[0], views=views)), [1.5, 2.5, 3.5])
    assert len(seen) == 2
    for image in seen:
        assert (image[8:] == 224).all()
        np.testing.assert_allclose(image[:7].mean(axis=(0, 1)), [200, 30, 30], atol=6)
    with pytest.raises(InputError, match="expected images"):
        features(replace(records[0], views=()))
    by_mean = image_features(lambda ones: np.array([one.mean(axis=(0, 1)) for one in ones]))
    assert sum(buckets.write_buckets(tmp_path, 2, features=by_mean)) == 8


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data[:-700], "bytes"),
        (lambda data: data[:600] + bytes([data[600] ^ 1]) + data[601:], "SHA-256"),
    ],
)
def test_damaged_shards_are_told(tmp_path: Path, damage: object, said: str) -> None:
    write(tmp_path, 3)
    path = tmp_path / "shard-000000.tar"
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(InputError, match=said):
        list(read_shards(tmp_path))


def test_no_bytes_at_all_break_the_decoder() -> None:
    good = record(1, n=5, views=1).encode() + tar.END
    rng = np.random.default_rng(0)
    outcomes = Counter[str]()
    for _ in range(300):
        data = bytearray(good)
        at = int(rng.integers(len(data)))
        data[at : at + int(rng.integers(1, 40))] = rng.bytes(int(rng.integers(0, 40)))
        try:
            for one in decode(tar.read(bytes(data))):
                for view in one.views:
                    view.pixels()
                    view.lit_pixels()
            outcomes["read"] += 1
        except InputError:
            outcomes["refused"] += 1
    assert outcomes["refused"] > 100


def test_an_array_that_declares_more_than_there_is_is_refused() -> None:
    one = record(1, n=5, views=1)
    files = dict(tar.read(one.encode() + tar.END))
    name = f"{record_id(one.key)}.points.npy"
    file = io.BytesIO()
    header = {"descr": "<i2", "fortran_order": False, "shape": (1 << 38, 3)}
    np.lib.format.write_array_header_1_0(file, header)
    files[name] = file.getvalue()
    with pytest.raises(InputError, match="expected the bytes of"):
        list(decode(files.items()))
    files = dict(tar.read(one.encode() + tar.END))
    del files[name]
    with pytest.raises(InputError, match=r"member points\.npy"):
        list(decode(files.items()))
    other = replace(one, key="b").encode()
    with pytest.raises(InputError, match="expected the record named"):
        renamed = ((name.replace(record_id("b"), "0" * 24), data) for name, data in tar.read(other + tar.END))
        list(decode(renamed))


def test_an_index_may_not_name_files_elsewhere(tmp_path: Path) -> None:
    write(tmp_path, 3)
    index = tmp_path / shards.INDEX
    index.write_text(index.read_text().replace("shard-000000.tar", "../shard-000000.tar"))
    with pytest.raises(InputError, match="expected an index of shards"):
        read_shards(tmp_path)
    with pytest.raises(InputError, match="finished set of shards"):
        read_shards(tmp_path / "nothing")
    with pytest.raises(InputError, match="place that can be opened"):
        read_shards("nosuchthing://a/b")


def test_shards_in_another_file_system() -> None:
    one, store = record(1), Store("memory://some/shards")
    assert store.names() == []
    shard = shards.write_shard(store, shards.shard_name(0), [one.encode()])
    store.write(shards.INDEX, shards.Index((shard,)).encode())
    assert store.names() == ["index.json", "shard-000000.tar"]
    (back,) = read_shards("memory://some/shards")
    assert_equal(one, back)
    with pytest.raises(InputError, match="found none"):
        store.read("absent")


def test_features_are_added_by_adding_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "size.py").write_text(
        "from enpointe.data.shards.features import FEATURES\n"
        "FEATURES.register('size')(lambda: lambda record: [len(record.points)])\n"
    )
    assert list(FEATURES) == ["cloud", "joint"]
    monkeypatch.setattr(features_package, "__path__", [*features_package.__path__, str(tmp_path)])
    assert list(FEATURES) == ["cloud", "joint", "size"]
    try:
        assert FEATURES["size"]()(record(1)) == [40]
    finally:
        FEATURES.unregister("size")
        del sys.modules["enpointe.data.shards.features.size"]
