"""What Apple's MPS cannot do must not reach a device: no float64 there, no operator that it has not.

Read from the source, since no such machine is at hand. Tables in float64 are allowed where they stay on the CPU:
each such place is named here. Where the rules come from:

- float64: "Double-precision types" in PyTorch's notes on the MPS backend (docs.pytorch.org, notes/mps.html).
- operators: UNIMPLEMENTED_XFAILLIST in torch/testing/_internal/common_mps.py, the list that PyTorch's own tests expect
  to fail there, of PyTorch 2.13; one of the tests below compares it with the installed PyTorch's.
- operators that quietly run on the CPU, and stall the device for it: aten/src/ATen/mps/MPSFallback.mm. All others that
  are missing are errors there, unless PYTORCH_ENABLE_MPS_FALLBACK is set.
"""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "enpointe"
ON_DEVICE = ("nn", "diffusion", "encoders", "meshing", "pipelines")
"""Packages whose tensors may lie on a user's device."""

FLOAT64_ON_CPU = {
    "diffusion/schedule.py": "tables of noise levels, made and kept on the CPU",
}

UNIMPLEMENTED = {
    "float_power", "frexp", "geqrf", "hash_tensor", "heaviside", "linalg.cond", "linalg.eig", "linalg.eigh",
    "linalg.eigvals", "linalg.eigvalsh", "linalg.ldl_factor", "linalg.ldl_factor_ex", "linalg.ldl_solve",
    "linalg.lstsq", "linalg.svdvals", "logspace", "masked.median", "matrix_exp", "mode", "ormqr", "put",
    "nn.functional.adaptive_avg_pool1d", "nn.functional.adaptive_avg_pool2d", "nn.functional.adaptive_avg_pool3d",
    "nn.functional.adaptive_max_pool3d", "nn.functional.ctc_loss", "nn.functional.fractional_max_pool2d",
    "nn.functional.fractional_max_pool3d", "nn.functional.multi_margin_loss", "nn.functional.pdist",
    "nn.functional.rrelu", "segment_reduce", "sparse.mm", "sparse.sampled_addmm", "special.airy_ai",
    "special.laguerre_polynomial_l", "special.legendre_polynomial_p", "special.log_ndtr", "special.ndtri",
    "svd_lowrank", "symeig", "take",
}  # fmt: skip
"""Operators, as they are called after `torch.`. (The pools fail only where sizes do not divide.)"""

OTHERWISE_SEEN = {
    "cdouble", "double", "to",  # float64, see `float64_in`
    "linalg.lstsqgrad_oriented", "linalg.matrix_rankhermitian", "linalg.pinvhermitian", "normnuc", "sparse.mmreduce",
    "logspacetensor_overload", "nn.functional.interpolatearea", "nn.functional.norm",  # variants, not names
    "_segment.reduce", "_segment_reduce_lengths", "_segment_reduce_offsets", "_segment_reducelengths",
    "_segment_reduceoffsets", "segment.reduce", "segment_reduce_", "segment_reduce_offsets",  # spellings of one
}  # fmt: skip
"""Entries of PyTorch's list that are no operator's name of their own."""

ON_THE_CPU = {"embedding_renorm_", "linalg.svd", "col2im", "nn.functional.fold"}
"""Operators that fall back to the CPU; also the nearest-neighbor resizing of volumes, an option of `interpolate`."""

MISSING_ON_MPS = UNIMPLEMENTED | ON_THE_CPU


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
        if not isinstance(node, ast.Attribute | ast.Call):
            continue
        is_double = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "double"
        if dotted(node) in ("torch.float64", "torch.double", "torch.complex128", "torch.DoubleTensor") or is_double:
            found.append(node.lineno)
    return found


def missing_in(source: str) -> list[tuple[int, str]]:
    """Lines that call an operator that MPS has not, and which; as torch.name or under its last part as a method."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        name = dotted(node.func).removeprefix("torch.")
        name = f"nn.functional.{name.removeprefix('F.')}" if name.startswith("F.") else name
        is_method = not dotted(node.func).startswith(("torch.", "F.", "np."))
        if name in MISSING_ON_MPS or (is_method and node.func.attr in MISSING_ON_MPS):
            found.append((node.lineno, name))
    return found


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


@pytest.mark.parametrize(
    "source", ["torch.linalg.eigh(x)", "x.frexp()", "f(x).mode()", "torch.special.ndtri(x)", "F.pdist(x)", "x.take(i)"]
)
def test_missing_operators_are_seen(source: str) -> None:
    assert [line for line, _ in missing_in(source)] == [1]


def test_the_list_is_the_installed_pytorch_s() -> None:
    """What that expects to fail on MPS in every type (None there) is in the list above, or known not to be a name."""
    package = find_spec("torch")
    assert package is not None
    assert package.origin is not None
    path = Path(package.origin).parent / "testing" / "_internal" / "common_mps.py"
    if not path.is_file():
        pytest.skip("this PyTorch comes without its test lists")
    tables = {
        node.target.id: node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    table = tables["UNIMPLEMENTED_XFAILLIST"]
    assert isinstance(table, ast.Dict)
    names = {
        ast.literal_eval(key)
        for key, types in zip(table.keys, table.values, strict=True)
        if key is not None and isinstance(types, ast.Constant) and types.value is None
    }
    assert "linalg.eigh" in names
    assert names <= UNIMPLEMENTED | OTHERWISE_SEEN


def test_what_is_allowed_passes() -> None:
    fine = "picture.mode\nnp.put(x)\nx.float()\ntorch.linalg.vector_norm(x)\n"
    fine += "torch.autocast('cpu', dtype=torch.bfloat16)\nnp.float64(1)\n"
    assert not float64_in(fine)
    assert not missing_in(fine)
    assert not autocast_in(fine)
