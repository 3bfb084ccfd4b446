"""Shards in a bucket: a server of this process stands for S3."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.fake_build import CONFIG, FakeRenderer, boxes
from enpointe.core.errors import InputError, OutputError
from enpointe.data.build.build import build_shards
from enpointe.data.shards.check import check_shards
from enpointe.data.shards.reader import read_shards
from enpointe.data.shards.store import Store

s3fs = pytest.importorskip("s3fs", reason="needs s3fs")
moto = pytest.importorskip("moto.server", reason="needs moto[server]")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked here, for speed")


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem().mkdir("clouds")
        yield "s3://clouds"
    server.stop()


def test_a_build_into_a_bucket_is_the_build_into_a_folder(bucket: str, tmp_path: Path) -> None:
    options = {"per_shard": 4, "method": "fork"}
    build_shards(boxes(12), tmp_path / "here", FakeRenderer, CONFIG, **options)  # type: ignore[arg-type]
    place = f"{bucket}/some/shards"
    for resume in (False, True):
        built = build_shards(
            boxes(12), place, FakeRenderer, CONFIG, work=tmp_path / "work", resume=resume, **options  # type: ignore[arg-type]
        )  # fmt: skip
        assert built.index.records == 12
    here, there = Store(tmp_path / "here"), Store(place)
    assert there.names() == here.names()
    for name in here.names():
        assert there.read(name) == here.read(name), name
    assert not check_shards(place).damages
    keys = [[one.key for one in read_shards(where, seed=1)] for where in (place, tmp_path / "here")]
    assert keys[0] == keys[1]
    with pytest.raises(InputError, match="found a finished build"):
        build_shards(boxes(12), place, FakeRenderer, CONFIG, work=tmp_path / "work")


def test_what_a_bucket_refuses_is_told(bucket: str) -> None:
    with pytest.raises(InputError, match="finished set of shards"):
        read_shards(f"{bucket}/nothing")
    with pytest.raises(InputError, match="found none"):
        Store(bucket).read("absent")
    with pytest.raises(OutputError, match="no-such-bucket"):
        Store("s3://no-such-bucket/shards").write("a", b"b")
