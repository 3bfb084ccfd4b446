"""Shards: tar files of records, read by this package and by WebDataset, and the index that vouches for them.

Which shard a record is in, and where, follows from its key and the keys of all assets that were listed, not
from who made it or when: the identifiers (`record_id`) are sorted and cut into groups of `per_shard`; a shard
holds those of its group that were made and kept. Identifiers are hashes, so every shard is a random sample.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from enpointe.core.errors import InputError
from enpointe.data.shards import tar
from enpointe.data.shards.records import Record, canonical_json, decode, read_json
from enpointe.data.shards.store import Store

INDEX = "index.json"
FORMAT = "enpointe-shards"
VERSION = 1
PER_SHARD = 256
"""At 20 views of 512 x 512 a shard then has some 50 to 100 MB, which a reader holds in memory."""


@dataclass(frozen=True)
class Shard:
    """A tar file of the set: its name, SHA-256, bytes, and how many records it holds."""

    name: str
    sha256: str
    bytes: int
    records: int


@dataclass(frozen=True)
class Index:
    """What a set of shards consists of.

    Attributes:
        shards: in order.
        settings: what the records were made with.
        counts: how many assets were listed, kept, dropped and failed.
        files: name and SHA-256 of what lies beside the shards.
    """

    shards: tuple[Shard, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def records(self) -> int:
        return sum(shard.records for shard in self.shards)

    def encode(self) -> bytes:
        """As the file holds it."""
        return canonical_json({"format": FORMAT, "version": VERSION, **asdict(self)}) + b"\n"


def shard_name(number: int) -> str:
    """ "shard-000012.tar"."""
    return f"shard-{number:06d}.tar"


def write_shard(store: Store, name: str, records: Iterable[bytes]) -> Shard:
    """A tar file of records, each as `Record.encode` gave it, in the order given.

    Raises:
        OutputError: it cannot be written.
    """
    digest, size, count = hashlib.sha256(), 0, 0
    with store.writing(name) as file:

        def add(data: bytes) -> None:
            nonlocal size
            file.write(data)
            digest.update(data)
            size += len(data)

        for data in records:
            add(data)
            count += 1
        add(tar.END)
    return Shard(name, digest.hexdigest(), size, count)


def read_index(store: Store) -> Index:
    """The index of a set of shards.

    Raises:
        InputError: there is none, or it is damaged.
    """
    if not store.exists(INDEX):
        raise InputError(f"{store.place}: expected a finished set of shards with an {INDEX}, found none")
    where = f"{store.place}/{INDEX}"
    written = read_json(store.read(INDEX), where)
    if written.get("format") != FORMAT or written.get("version") != VERSION:
        found = f"{written.get('format')!r}, version {written.get('version')!r}"
        raise InputError(f"{where}: expected format {FORMAT!r}, version {VERSION}, found {found}")
    try:
        shards = tuple(_shard(entry) for entry in written["shards"])
        parts = {name: dict(written[name]) for name in ("settings", "counts", "files")}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{where}: expected an index of shards, found {error!r}") from error
    return Index(shards, **parts)


def _shard(entry: Mapping[str, Any]) -> Shard:
    shard = Shard(**entry)
    number = shard.name[len("shard-") : -len(".tar")]
    if not number.isdecimal() or shard.name != shard_name(int(number)):  # nothing but a file of this folder
        raise ValueError(f"a shard named {shard.name!r}")
    if not (isinstance(shard.sha256, str) and isinstance(shard.bytes, int) and isinstance(shard.records, int)):
        raise TypeError(f"other kinds of values of {shard.name}")
    if shard.records < 0 or shard.bytes < 0:
        raise ValueError(f"less than nothing in {shard.name}")
    return shard


def read_shard(store: Store, shard: Shard) -> list[Record]:
    """All records of a shard, in order, once its bytes are known to be those that the index vouches for.

    Raises:
        InputError: it is absent or damaged.
    """
    data = store.read(shard.name)
    where = f"{store.place}/{shard.name}"
    if len(data) != shard.bytes:
        raise InputError(f"{where}: expected {shard.bytes} bytes, found {len(data)}")
    digest = hashlib.sha256(data).hexdigest()
    if digest != shard.sha256:
        raise InputError(f"{where}: expected SHA-256 {shard.sha256}, found {digest}")
    try:
        records = list(decode(tar.read(data)))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    if len(records) != shard.records:
        raise InputError(f"{where}: expected {shard.records} records, found {len(records)}")
    return records
