"""PyTorch's fused attention against enpointe.nn.attention on a CPU, at the shapes in use.

In float32 ours is the fused kernel, so that ratio shows how far timing alone scatters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.common import Report, Row, arguments, in_turns
from enpointe.core.device import keep_freed_memory
from enpointe.nn.attention import attention

Kernel = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Shape:
    """Samples, heads, queries and keys; every head is 64 wide. `backward` for a training step."""

    use: str
    n: int
    heads: int
    queries: int
    keys: int
    backward: bool = False


SHAPES = (
    Shape("sample base, guided", 2, 4, 1048, 1048),
    Shape("sample upsampler, 16 cells", 16, 3, 320, 320),
    Shape("released SDF, encode cloud", 1, 4, 4096, 4096),
    Shape("released SDF, decode queries", 1, 4, 16384, 4096),
    Shape("train base, 256 points", 32, 4, 280, 280, backward=True),
    Shape("train base, 1,024 points", 8, 4, 1048, 1048, backward=True),
    Shape("train upsampler", 16, 3, 320, 320, backward=True),
)
WIDTH = 64


def step(kernel: Kernel, inputs: list[Tensor], backward: bool) -> Callable[[], object]:
    """One evaluation, or one with its backward pass."""

    def forward_only() -> Tensor:
        with torch.inference_mode():
            return kernel(*inputs)

    def both() -> tuple[Tensor, ...]:
        out = kernel(*inputs)
        return torch.autograd.grad(out, inputs, torch.ones_like(out))

    return both if backward else forward_only


def measure(shape: Shape, dtype: torch.dtype, repeats: int) -> Row:
    """Seconds of both kernels and how far each is from float64."""
    generator = torch.Generator().manual_seed(0)
    lengths = (shape.queries, shape.keys, shape.keys)
    exact = [torch.randn(shape.n, shape.heads, length, WIDTH, generator=generator) for length in lengths]
    inputs = [x.to(dtype).requires_grad_(shape.backward) for x in exact]
    kernels: dict[str, Kernel] = {"fused": F.scaled_dot_product_attention, "ours": attention}
    jobs = {name: step(kernel, inputs, shape.backward) for name, kernel in kernels.items()}
    in_turns(jobs, 1)
    seconds = {name: median(values) for name, values in in_turns(jobs, repeats).items()}
    few = [inputs[0][:1, :, :64].detach(), *(x[:1].detach() for x in inputs[1:])]
    q, k, v = (x.double() for x in few)
    reference = F.scaled_dot_product_attention(q, k, v)
    errors = {name: float((kernel(*few).double() - reference).abs().max()) for name, kernel in kernels.items()}
    products = 4 * shape.n * shape.heads * shape.queries * shape.keys * WIDTH * (3.5 if shape.backward else 1)
    return {
        "use": shape.use,
        "shape": f"{shape.n}x{shape.heads}x{shape.queries}x{shape.keys}x{WIDTH}",
        "type": str(dtype).removeprefix("torch."),
        "pass": "both" if shape.backward else "forward",
        "fused ms": seconds["fused"] * 1e3,
        "ours ms": seconds["ours"] * 1e3,
        "fused / ours": seconds["fused"] / seconds["ours"],
        "ours GFLOP/s": products / seconds["ours"] / 1e9,
        "error fused": errors["fused"],
        "error ours": errors["ours"],
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    report = Report("attention", options)
    keep_freed_memory()  # as the pipeline and the training do
    shapes: tuple[Shape, ...] = SHAPES
    if options.quick:
        shapes = tuple(Shape(s.use, 1, s.heads, min(s.queries, 300), min(s.keys, 64), s.backward) for s in SHAPES)
    repeats = 1 if options.quick else options.repeats
    rows = [measure(shape, dtype, repeats) for shape in shapes for dtype in (torch.bfloat16, torch.float32)]
    report.table("N x heads x queries x keys x width, median milliseconds", rows)
    report.save()


if __name__ == "__main__":
    main()
