"""Frozen dataclasses from plain values: options and configs, whose unknown or missing names are errors."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from enpointe.core.errors import InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

C = TypeVar("C", bound="DataclassInstance")


def from_dict(cls: type[C], values: Mapping[str, Any]) -> C:
    """A dataclass from plain JSON values (lists become tuples).

    Raises:
        InputError: a key is unknown or missing.
    """
    fields = {f.name: f for f in dataclasses.fields(cls)}
    required = {
        name
        for name, f in fields.items()
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    }
    unknown, missing = set(values) - set(fields), required - set(values)
    if unknown or missing:
        raise InputError(
            f"{cls.__name__}: expected keys {sorted(fields)}, "
            f"found unknown {sorted(unknown)}, missing {sorted(missing)}"
        )
    return cls(**{key: _frozen(value) for key, value in values.items()})


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list | tuple) else value
