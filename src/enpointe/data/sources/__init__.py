"""Sources of assets, found by name: each module here registers one.

Other packages add theirs with a module that does the same, named in their entry point group `enpointe.sources`. The
modules import what loads models when a model is loaded, so that the command line can list their options at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

from enpointe.core.errors import InputError
from enpointe.core.registry import Registry
from enpointe.data.assets import Asset
from enpointe.io.assets.limits import LIMITS, AssetLimits


class Assets(Protocol):
    """A number of assets that can be iterated over again and again, always in the same order.

    Each has a key of its own, its words (`captions`, else `nouns`), licence, creator and source. A list is one.
    """

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Asset]: ...


@dataclass(frozen=True)
class Source(ABC):
    """A kind of collection of 3D models. Its fields are its options, those with `core.options.option` metadata also of
    `enpointe data build`: one called `seed` or `limit` takes the value of that command's own option."""

    @abstractmethod
    def open(self, path: Path | None = None, limits: AssetLimits = LIMITS) -> Assets:
        """The assets at a place.

        Args:
            path: a folder or a file; None for the place where the source is by default.
            limits: of each asset's files.

        Raises:
            InputError: there is no such place, or there are no assets in it.
        """


SOURCES: Registry[type[Source]] = Registry("source", __name__, group="enpointe.sources")


def open_source(name: str, path: Path | None = None, *, limits: AssetLimits = LIMITS, **options: Any) -> Assets:
    """The assets of one of `SOURCES`.

    Args:
        name: of the source.
        path, limits: see `Source.open`.
        options: the source's own.

    Raises:
        InputError: the name is not known, an option is not one of this source, or see `Source.open`.
    """
    source = SOURCES[name]
    known = [field.name for field in fields(source)]
    for option in options:
        if option not in known:
            raise InputError(f"source {name}: expected options among {', '.join(known) or 'none'}, found {option!r}")
    return source(**options).open(path, limits)


def existing_folder(path: Path | None, name: str) -> Path:
    """The path; InputError where a source that needs a folder of models is given none."""
    if path is None:
        raise InputError(f"path: expected a folder with source {name!r}, found none")
    if not path.is_dir():
        raise InputError(f"{path}: expected a folder of models, found none")
    return path
