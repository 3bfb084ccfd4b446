"""The `enpointe` command: one file a command, and `app` that puts them together.

Importing this package imports the standard library only; a command imports what it needs when it runs.
"""

from __future__ import annotations

from enpointe.cli.app import main

__all__ = ["main"]
