"""The outcomes and records of a build in progress, on disk, so that nothing is lost or done twice."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from enpointe.core.errors import InputError, OutputError
from enpointe.core.files import read_bytes, replacing
from enpointe.data.build.outcomes import Outcome
from enpointe.data.shards.records import canonical_json, read_json, record_id


class Staging:
    """A folder of outcomes and of the records of kept assets. Both appear whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, outcome: Outcome, record: bytes | None) -> None:
        """Keep an outcome and the record that belongs to it.

        The outcome comes last: where it stands, its record does.

        Raises:
            OutputError: they cannot be written.
        """
        path = self._outcome(outcome.key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{path.parent}: expected a folder to write to, found: {error.strerror}") from error
        if record is not None:
            with replacing(self._record(outcome.key)) as file:
                file.write(record)
        with replacing(path) as file:
            file.write(canonical_json(asdict(outcome)))

    def load(self, key: str) -> Outcome | None:
        """The outcome of an asset, None if it has none yet.

        Raises:
            InputError: it is damaged.
        """
        path = self._outcome(key)
        if not path.is_file():
            return None
        try:
            outcome = Outcome(**read_json(read_bytes(path), str(path)))
        except TypeError as error:
            raise InputError(f"{path}: expected the outcome of an asset, found {error}") from error
        if outcome.key != key:
            raise InputError(f"{path}: expected the outcome of {key!r}, found that of {outcome.key!r}")
        return outcome

    def record(self, outcome: Outcome) -> bytes:
        """The record of a kept asset.

        Raises:
            InputError: it is absent, or not the one that was kept; it will be made anew.
        """
        data = read_bytes(path) if (path := self._record(outcome.key)).is_file() else b""
        if hashlib.sha256(data).hexdigest() != outcome.sha256:
            self._outcome(outcome.key).unlink(missing_ok=True)
            raise InputError(f"{path}: expected the record that was kept, found another; --resume makes it anew")
        return data

    def discard(self, key: str) -> None:
        """Remove a record that is in its shard now; its outcome stays."""
        self._record(key).unlink(missing_ok=True)

    def read(self, name: str) -> dict[str, Any] | None:
        """A JSON object by name, None where there is none."""
        path = self.folder / f"{name}.json"
        return read_json(read_bytes(path), str(path)) if path.is_file() else None

    def write(self, name: str, value: Mapping[str, Any]) -> None:
        """Keep a JSON object; OutputError where that cannot be."""
        path = self.folder / f"{name}.json"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{path.parent}: expected a folder to write to, found: {error.strerror}") from error
        with replacing(path) as file:
            file.write(canonical_json(value))

    def _outcome(self, key: str) -> Path:
        name = record_id(key)
        return self.folder / "assets" / name[:2] / f"{name}.json"

    def _record(self, key: str) -> Path:
        return self._outcome(key).with_suffix(".record")
