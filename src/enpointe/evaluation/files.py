"""The JSON files of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from enpointe.core.files import replacing


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """A JSON file of sorted keys, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    with replacing(path) as file:
        file.write(f"{text}\n".encode("utf-8", "backslashreplace"))
