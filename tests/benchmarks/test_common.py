"""What a benchmark's results say of the command that made them."""

from __future__ import annotations

import pytest
from benchmarks.common import public


@pytest.mark.parametrize(
    ("argument", "told"),
    [("/a/b/models", "models"), ("folder=/a/b/models", "folder=models"), ("--out=/a/b.json", "--out=b.json"),
     ("a/b", "a/b"), ("--quick", "--quick"), ("steps=3", "steps=3")],
)  # fmt: skip
def test_no_path_of_the_machine_is_told(argument: str, told: str) -> None:
    assert public(argument) == told
