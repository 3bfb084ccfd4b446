"""What Apple's MPS cannot do must not reach a device: no float64 there, no operator that it has not.

Read from the source, since no such machine is at hand. Tables in float64 are allowed where they stay on the CPU:
each such place is named here.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "enpointe"
ON_DEVICE = ("nn", "diffusion", "conditioning", "pipeline")
"""Packages whose tensors may lie on a user's device."""

FLOAT64_ON_CPU = {
    "diffusion/schedule.py": "tables of noise levels, made and kept on the CPU",
}

MISSING_ON_MPS = {
    "linalg.eig", "linalg.eigvals", "linalg.lstsq", "linalg.matrix_exp", "linalg.eigh", "linalg.eigvalsh",
    "segment_reduce", "_segment_reduce", "histogramdd", "multinomial_alias", "cdist_backward", "complex128",
    "polygamma", "igamma", "igammac", "lgamma", "special.erfcx", "special.ndtri", "grid_sampler_3d", "frexp",
}  # fmt: skip
"""Operators that PyTorch's list for MPS lacks or runs on the CPU only (pytorch/pytorch issue 141287)."""


def files() -> list[Path]:
    return sorted(path for package in ON_DEVICE for path in (SOURCE / package).rglob("*.py"))


def dotted(node: ast.AST) -> str:
    """`torch.linalg.eigh` of such an expression, as far as it has names."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def float64_in(source: str) -> list[int]:
    """Lines where a tensor may become float64."""
    found = []
    for node in ast.walk(ast.parse(source)):
        name = dotted(node) if isinstance(node, ast.Attribute) else ""
        is_double = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "double"
        if name in ("torch.float64", "torch.double", "torch.complex128", "torch.DoubleTensor") or is_double:
            found.append(node.lineno)
    return found


def missing_in(source: str) -> list[tuple[int, str]]:
    """Lines with an operator that MPS has not, and which."""
    names = [(node.lineno, dotted(node)) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)]
    return [(line, name) for line, name in names for bad in MISSING_ON_MPS if name == bad or name.endswith(f".{bad}")]


def autocast_in(source: str) -> list[int]:
    """Lines where autocast is switched on without asking for which device: MPS's is not ours to rely on."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and dotted(node.func) == "torch.autocast" and not (node.args or node.keywords)
    ]


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_that_mps_has_not(path: Path) -> None:
    source, name = path.read_text(encoding="utf-8"), str(path.relative_to(SOURCE))
    assert not missing_in(source)
    assert not autocast_in(source)
    if name not in FLOAT64_ON_CPU:
        assert not float64_in(source), f"{name}: float64, which MPS has not; see FLOAT64_ON_CPU"


def test_no_exception_is_stale() -> None:
    for name in FLOAT64_ON_CPU:
        assert float64_in((SOURCE / name).read_text(encoding="utf-8")), f"{name} has no float64 any more"


@pytest.mark.parametrize(
    "source", ["x.to(torch.float64)", "x.double()", "torch.zeros(3, dtype=torch.double)", "y = torch.float64"]
)
def test_float64_is_seen(source: str) -> None:
    assert float64_in(f"import torch\n{source}\n") == [2]


@pytest.mark.parametrize("source", ["torch.linalg.eigh(x)", "x.lgamma()", "torch.special.ndtri(x)"])
def test_missing_operators_are_seen(source: str) -> None:
    assert [line for line, _ in missing_in(source)] == [1]


def test_what_is_allowed_passes() -> None:
    fine = "x.float()\ntorch.linalg.vector_norm(x)\ntorch.autocast('cpu', dtype=torch.bfloat16)\nnp.float64(1)\n"
    assert not float64_in(fine)
    assert not missing_in(fine)
    assert not autocast_in(fine)
