"""The folder of golden vectors, for every test that asks for it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from torch import Tensor

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def golden_folder() -> Path:
    """Where ENPOINTE_GOLDEN says, or beside the project; the test is skipped where there is none."""
    folder = Path(os.environ.get("ENPOINTE_GOLDEN") or ROOT.parent / "shared" / "golden")
    if not folder.is_dir():
        pytest.skip(f"no golden vectors at {folder}; set ENPOINTE_GOLDEN")
    return folder


@pytest.fixture(scope="session")
def golden(golden_folder: Path) -> Callable[[str], tuple[dict[str, Tensor], dict[str, Any]]]:
    """Reads one file: name without suffix -> (its tensors, its metadata)."""

    def read(name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
        path = golden_folder / f"{name}.safetensors"
        if not path.is_file():
            pytest.skip(f"no golden file {path}")
        with safe_open(path, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
            metadata = {key: _parsed(value) for key, value in (file.metadata() or {}).items()}
        return tensors, metadata

    return read


def _parsed(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value
