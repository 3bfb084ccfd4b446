"""The checks that jaxtyping's import hook puts around the functions of the rooms named in pyproject.toml."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype

CONF = BeartypeConf(is_pep484_tower=True)
"""An int will do for a float, as for mypy."""


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Arguments and results against the annotations: types, dtypes, shapes that agree with each other.

    But not what a class is made of: clouds and meshes take whatever becomes an array, and check it themselves.
    """
    return function if function.__name__ == "__init__" else beartype(conf=CONF)(function)
