"""Training without a compiler."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from enpointe.training.compiling import Objective
from enpointe.training.task import Batch, Losses

PROGRAM = """
import torch
from torch import nn
from enpointe.training.compiling import Objective
from enpointe.training.task import Losses

class Task:
    def losses(self, network, batch):
        value = network(batch["x"]).square().sum(1)
        return Losses(value)

network = nn.Linear(3, 3)
objective = Objective(Task(), network, torch.device("cpu"), compiled=True, report=print)
for _ in range(2):
    objective({"x": torch.ones(2, 3)})
assert network.weight.grad.abs().sum() > 0
"""


@pytest.mark.slow
def test_without_a_compiler_on_the_path(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in ("CXX", "CC", "CONDA_PREFIX")}
    environment |= {"PATH": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    environment["TORCHINDUCTOR_CACHE_DIR"] = str(tmp_path / "cache")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    (line,) = done.stdout.decode().splitlines()
    assert line.startswith("torch.compile does not work here, training continues without it: ")


class Task:
    def losses(self, network: nn.Module, batch: Batch) -> Losses:
        value: Tensor = network(batch["x"]).sum(1)
        return Losses(value)


class Failing(nn.Module):
    """A compiled network that works for one shape and fails to compile for another."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > 2:
            raise RuntimeError("no compiler\nand many lines of why")
        return 0 * self.network(x)


def test_a_later_shape_that_cannot_be_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda network, **_: Failing(network))
    network, lines = nn.Linear(3, 3), list[str]()
    objective = Objective(Task(), network, torch.device("cpu"), compiled=True, report=lines.append)  # type: ignore[arg-type]
    assert objective({"x": torch.ones(2, 3)}).value.abs().sum() == 0
    assert lines == []
    for rows in (3, 2):
        assert objective({"x": torch.ones(rows, 3)}).value.abs().sum() > 0
    (line,) = lines
    assert line.endswith("without it: no compiler")


def test_an_error_of_the_task_itself_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda network, **_: network)
    objective = Objective(Task(), nn.Linear(4, 3), torch.device("cpu"), compiled=True, report=str)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="shapes"):
        objective({"x": torch.ones(2, 3)})
