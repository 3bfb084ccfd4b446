"""Changes of a recipe's settings from outside: `--set learning_rate=1e-5 batch=8`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from enpointe.core.errors import InputError
from enpointe.training.settings import Settings

E = TypeVar("E")

BATCH = "batch"
"""Not a field of the settings but of every phase."""
_MAY_BE_ZERO = ("seed", "weight_decay", "workers")


def changed(settings: Settings[E], changes: Sequence[str]) -> Settings[E]:
    """The settings with changes, each NAME=VALUE: of a field, or "batch", which is every phase's.

    Raises:
        InputError: no such name, or a value that is not of its kind.
    """
    kinds = {**get_type_hints(Settings), BATCH: int}
    del kinds["phases"]
    values: dict[str, Any] = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals or name not in kinds:
            raise InputError(f"set: expected NAME=VALUE with one of {', '.join(sorted(kinds))}, found {change!r}")
        values[name] = _parsed(name, kinds[name], text)
    batch = values.pop(BATCH, None)
    if batch is not None:
        settings = replace(settings, phases=tuple(replace(phase, batch=batch) for phase in settings.phases))
    return replace(settings, **values)


def _parsed(name: str, kind: Any, text: str) -> Any:
    if kind is str:
        return text
    choices = {bool: {"true": True, "false": False}}.get(kind)
    if get_origin(kind) is Literal:
        choices = {choice: choice for choice in get_args(kind)}
    if choices is not None:
        if text not in choices:
            raise InputError(f"set {name}: expected {' or '.join(choices)}, found {text!r}")
        return choices[text]
    if NoneType in get_args(kind):
        if text == "none":
            return None
        (kind,) = set(get_args(kind)) - {NoneType}
    try:
        number = kind(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf or (number == 0 and name not in _MAY_BE_ZERO):
        least = "of 0 or above" if name in _MAY_BE_ZERO else "above 0"
        raise InputError(f"set {name}: expected a {'whole ' if kind is int else ''}number {least}, found {text!r}")
    return number
