"""Frozen dataclasses with a value changed that a user names: "settings.phases.0.batch=16"."""

from __future__ import annotations

import ast
import dataclasses
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from enpointe.core.errors import InputError

C = TypeVar("C")


def changed(config: C, change: str) -> C:
    """The same with one value changed.

    Args:
        config: a frozen dataclass, with others and tuples of others in it.
        change: "NAME=VALUE"; a name goes into dataclasses by fields and into tuples by numbers, joined by dots; a value
            is written as in Python, a text without quotes too.

    Raises:
        InputError: no such name, a value of another type, or one that the dataclass itself refuses.
    """
    path, equals, text = change.partition("=")
    if not equals or not path:
        raise InputError(f"{change!r}: expected NAME=VALUE")
    try:
        return _with(config, path.split("."), text)
    except (ValueError, TypeError) as error:
        raise InputError(f"{change}: {error}") from error


def _with(config: Any, path: list[str], text: str) -> Any:
    name, *rest = path
    if isinstance(config, tuple):
        if not name.isdecimal() or int(name) >= len(config):
            raise InputError(f"expected a number below {len(config)}, found {name!r}")
        place = int(name)
        value = _with(config[place], rest, text) if rest else _parsed(text, type(config[place]))
        return (*config[:place], value, *config[place + 1 :])
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise InputError(f"expected no name within a {type(config).__name__}, found {name!r}")
    names = [field.name for field in dataclasses.fields(config) if field.init]
    if name not in names:
        raise InputError(f"expected one of {', '.join(names)}, found {name!r}")
    if rest:
        value = _with(getattr(config, name), rest, text)
    else:
        value = _parsed(text, get_type_hints(type(config))[name])
    return dataclasses.replace(config, **{name: value})


def _parsed(text: str, hint: Any) -> Any:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = {"true": True, "false": False, "none": None}.get(text.lower(), text)
    return _checked(value, hint, text)


def _checked(value: Any, hint: Any, text: str) -> Any:
    """The value as the type has it (a whole number is also a float); InputError if it is of another."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        for one in arguments:
            try:
                return _checked(value, one, text)
            except InputError:
                continue
    elif origin is Literal:
        if value in arguments:
            return value
        raise InputError(f"expected {', '.join(map(str, arguments))}, found {text!r}")
    elif origin is tuple and isinstance(value, (tuple, list)):
        kinds = [arguments[0]] * len(value) if arguments[1:] == (...,) else arguments
        if len(kinds) == len(value):
            return tuple(_checked(one, kind, text) for one, kind in zip(value, kinds, strict=True))
    elif hint is str:
        return text if not isinstance(value, str) else value
    elif hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    elif hint in (int, bool, NoneType) and type(value) is hint:
        return value
    raise InputError(f"expected {_words(hint)}, found {text!r}")


def _words(hint: Any) -> str:
    if dataclasses.is_dataclass(hint):
        return f"one of its values by name ({', '.join(field.name for field in dataclasses.fields(hint))})"
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint).replace("typing.", "")
