"""What a command says: warnings on stderr as they come, and its result on stdout, in words or as JSON."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

from enpointe.core.warnings import EnpointeWarning

_given: ContextVar[list[str]] = ContextVar("_given")
"""The warnings of the command that runs."""


@contextmanager
def warnings_on_stderr() -> Iterator[None]:
    """Shows every warning of the package as one line on stderr, once, and keeps it for the command's JSON."""
    token = _given.set([])
    with warnings.catch_warnings():
        warnings.simplefilter("always", EnpointeWarning)
        usual = warnings.showwarning

        def show(
            message: Warning | str, category: type[Warning], filename: str, lineno: int,
            file: TextIO | None = None, line: str | None = None,
        ) -> None:  # fmt: skip
            if issubclass(category, EnpointeWarning):
                warn(str(message))
            else:
                usual(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        try:
            yield
        finally:
            _given.reset(token)


def warn(message: str) -> None:
    """A line on stderr; it is in the command's JSON too."""
    given = _given.get([])
    if message not in given:
        given.append(message)
        print(f"enpointe: warning: {message}", file=sys.stderr)


def report(words: str, machine: Mapping[str, Any], as_json: bool) -> None:
    """The command's result on stdout: for people, or one line of JSON with sorted keys, the warnings among them."""
    found = {**machine, "warnings": _given.get([])}
    print(json.dumps(found, allow_nan=False, sort_keys=True) if as_json else words)
