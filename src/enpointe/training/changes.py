"""Changes of a recipe's settings from outside: `--set learning_rate=1e-5 batch=8`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

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
    kinds = {field.name: str(field.type) for field in fields(Settings) if field.name != "phases"}
    kinds[BATCH] = "int"
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


def _parsed(name: str, kind: str, text: str) -> Any:
    if kind == "str":
        return text
    if kind == "bool":
        if text in ("true", "false"):
            return text == "true"
        raise InputError(f"set {name}: expected true or false, found {text!r}")
    if text == "none" and kind.endswith("| None"):
        return None
    whole = kind.startswith("int")
    try:
        number = int(text) if whole else float(text)
    except ValueError:
        number = math.nan
    if not (0 <= number < math.inf) or (number == 0 and name not in _MAY_BE_ZERO):
        least = "of 0 or above" if name in _MAY_BE_ZERO else "above 0"
        raise InputError(f"set {name}: expected a {'whole ' if whole else ''}number {least}, found {text!r}")
    return number
