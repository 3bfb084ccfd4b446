"""How far each solver is from the exact end of its path, for a number of evaluations of the denoiser.

A deterministic solver approximates one curve from noise to data; its end is compared, point by point,
with that of 500 steps. The ancestral solver draws another sample, so on the mixture the distribution
is compared for all: the sliced Wasserstein distance to exact draws.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from benchmarks.common import Report, Row, arguments, missing_weights
from enpointe.datagen.procedural.families import FAMILIES
from enpointe.datagen.procedural.sampling import sample_surface
from enpointe.diffusion.denoiser import Denoiser, VelocityDenoiser
from enpointe.diffusion.guidance import Guided, unconditional
from enpointe.diffusion.noise import SeededNoise
from enpointe.diffusion.schedule import Level, karras_sigmas
from enpointe.diffusion.solvers import SOLVERS
from enpointe.diffusion.step import Noise
from enpointe.models.embedded import embedded_path, read_network, text_encoder
from enpointe.pipeline.cascade import SIGMA_MAX, SIGMA_MIN, Preset
from enpointe.pipeline.device import keep_freed_memory
from enpointe.pipeline.upsampling import SIGMA_MAX as UP_SIGMA_MAX
from enpointe.pipeline.upsampling import SIGMA_MIN as UP_SIGMA_MIN
from enpointe.pipeline.upsampling import CellFrame, CellShape, anchored, cells, surroundings

PROMPTS = ("a red car", "a brown dog", "a green tree", "a white house with a red roof")


@dataclass(frozen=True)
class Method:
    """A solver and its options; steps that a budget of evaluations allows; whether it draws no noise."""

    solver: str
    steps: Callable[[int], int]
    options: dict[str, Any] = field(default_factory=dict)
    exact: bool = True


METHODS = {
    "euler": Method("ancestral", lambda budget: budget, {"eta": 0.0}),
    "heun": Method("heun", lambda budget: (budget + 1) // 2),
    "dpm2": Method("dpm2", lambda budget: budget // 2),
    "dpmpp": Method("dpmpp", lambda budget: budget),
    "ancestral": Method("ancestral", lambda budget: budget, exact=False),
}


class Counted:
    """A denoiser that counts how often it is asked."""

    def __init__(self, denoiser: Denoiser) -> None:
        self.denoiser, self.calls = denoiser, 0

    def __call__(self, x: Tensor, sigma: Level, /) -> Tensor:
        self.calls += 1
        return self.denoiser(x, sigma)


@dataclass(frozen=True)
class Problem:
    """A denoiser, the noise levels' range, and unit noise (N, C, P) to start from."""

    denoiser: Denoiser
    levels: tuple[float, float]
    start: Tensor

    @torch.no_grad()
    def solve(self, method: Method, steps: int, noise: Noise) -> tuple[Tensor, int, float]:
        """The end (N, C, P), evaluations, seconds."""
        sigmas = karras_sigmas(steps, *self.levels)
        denoiser, began, end = Counted(self.denoiser), time.perf_counter(), self.start
        start = self.start * float(sigmas[0])
        for step in SOLVERS[method.solver](denoiser, start, sigmas, noise=noise, **method.options):
            end = step.x
        return end, denoiser.calls, time.perf_counter() - began


class Mixture:
    """Points drawn from three isotropic Gaussians, with their exact denoiser."""

    def __init__(self, channels: int = 6) -> None:
        generator = torch.Generator().manual_seed(0)
        self.weights = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
        self.means = torch.randn(3, channels, generator=generator, dtype=torch.float64) / 2
        self.stds = torch.tensor([0.10, 0.05, 0.20], dtype=torch.float64)

    def __call__(self, x: Tensor, sigma: Level, /) -> Tensor:
        """E[x0 | x] for x (N, C, P): the components' posterior means, by the shares that Bayes gives them."""
        variance = self.stds**2 + float(sigma) ** 2
        away = x[:, None] - self.means[None, :, :, None]  # (N, K, C, P)
        log = self.weights.log() - x.shape[1] / 2 * variance.log()
        share = (log[None, :, None] - (away**2).sum(2) / (2 * variance[None, :, None])).softmax(1)
        pull = (self.stds**2 / variance)[None, :, None, None]
        return (share[:, :, None] * (self.means[None, :, :, None] + pull * away)).sum(1)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """(1, C, n)"""
        which = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, self.means.shape[1], generator=generator, dtype=torch.float64)
        return (self.means[which] + self.stds[which, None] * noise).T[None]


def sliced_wasserstein(a: Tensor, b: Tensor) -> float:
    """Mean over 64 directions of the 1-Wasserstein distance of two sets (1, C, P) of one size."""
    directions = torch.randn(64, a.shape[1], generator=torch.Generator().manual_seed(1), dtype=a.dtype)
    directions /= directions.norm(dim=1, keepdim=True)
    x, y = (directions @ points[0] for points in (a, b))
    return float((x.sort(dim=1).values - y.sort(dim=1).values).abs().mean())


def mixture_rows(budgets: list[int], n: int, reference_steps: int) -> list[Row]:
    """Every method on the mixture, with the distance of exact draws among themselves as the floor."""
    mixture, generator = Mixture(), torch.Generator().manual_seed(2)
    start = torch.randn(1, 6, n, generator=generator, dtype=torch.float64)
    problem = Problem(mixture, (SIGMA_MIN, SIGMA_MAX), start)
    reference, calls, _ = problem.solve(METHODS["heun"], reference_steps, _no_noise)
    draws, others = mixture.draw(n, generator), mixture.draw(n, generator)
    rows: list[Row] = []
    for name, method in METHODS.items():
        for budget in budgets:
            end, used, _ = problem.solve(method, method.steps(budget), SeededNoise([3]))
            rms = float((end - reference).pow(2).mean().sqrt()) if method.exact else None
            rows.append(
                {"solver": name, "evaluations": used, "rms": rms, "wasserstein": sliced_wasserstein(end, draws)}
            )
    rows.append(
        {"solver": "heun", "evaluations": calls, "rms": 0.0, "wasserstein": sliced_wasserstein(reference, draws)}
    )
    rows.append(
        {"solver": "exact draws", "evaluations": 0, "rms": None, "wasserstein": sliced_wasserstein(others, draws)}
    )
    return rows


def network_rows(problems: list[Problem], budgets: list[int], reference_steps: int) -> list[Row]:
    """The deterministic methods on a network, averaged over problems, in its own precision.

    The last row is Heun at half as many steps as the reference: below it, differences are rounding.
    """
    exact = {name: method for name, method in METHODS.items() if method.exact}
    runs = [(name, method, method.steps(budget)) for name, method in exact.items() for budget in budgets]
    runs.append(("heun", exact["heun"], reference_steps // 2))
    found: dict[tuple[str, int], list[tuple[float, ...]]] = {}
    for problem in problems:
        reference, _, _ = problem.solve(exact["dpmpp"], reference_steps, _no_noise)
        for name, method, steps in runs:
            end, used, seconds = problem.solve(method, steps, _no_noise)
            error = (end - reference).float()
            place = float(error[:, :3].pow(2).mean().sqrt())
            color = float(error[:, 3:].pow(2).mean().sqrt())
            found.setdefault((name, used), []).append((place, color, chamfer(end, reference), seconds))
    names = ("rms xyz", "rms rgb", "chamfer xyz", "seconds")
    return [
        {"solver": name, "evaluations": used, **dict(zip(names, np.mean(values, axis=0).tolist(), strict=True))}
        for (name, used), values in found.items()
    ]


def chamfer(a: Tensor, b: Tensor) -> float:
    """Mean distance from a point of either set to the nearest of the other, x, y, z of (N, C, P)."""
    pairs = [(x[:3].T.float().numpy(), y[:3].T.float().numpy()) for x, y in zip(a, b, strict=True)]
    both = [cKDTree(y).query(x)[0].mean() + cKDTree(x).query(y)[0].mean() for x, y in pairs]
    return float(np.mean(both) / 2)


def base_problems(n: int, n_points: int) -> list[Problem]:
    """The embedded base model as the pipeline runs it, seed 0, a prompt each."""
    network, weights = read_network(embedded_path("base"), "point_transformer")
    tokens = text_encoder(torch.device("cpu")).condition(PROMPTS[:n], weights.info["text_tokens"]).float().clone()
    problems = []
    for token in tokens:
        cond = {"grids": {"text": token[None]}}
        guided = Guided(VelocityDenoiser(network), cond, unconditional(cond), guidance_scale=Preset().guidance)
        problems.append(Problem(guided, (SIGMA_MIN, SIGMA_MAX), SeededNoise([0])((1, 6, n_points))))
    return problems


def upsampler_problems(n: int) -> list[Problem]:
    """The embedded upsampler on grey cells of procedural objects; none if its file is of another kind."""
    network, weights = read_network(embedded_path("up"), "point_transformer")
    if "cell" not in weights.info:
        return []
    shape = CellShape(**weights.info["cell"])
    problems = []
    for name in ("car", "dog", "chair", "tree")[:n]:
        rng = np.random.default_rng(0)
        points = sample_surface(FAMILIES[name].recipe(rng), 1024, rng).points.astype(np.float32)
        grey = np.full_like(points, 0.5)
        cell = cells(points, shape.anchors)[0]
        context = surroundings(cKDTree(points), points, cell, shape)
        frame = CellFrame.around(points[context])
        parents = np.repeat(frame.to_local(points[cell], grey[cell]), shape.children, axis=1)
        coarse = torch.from_numpy(frame.to_local(points[context], grey[context]))[None]
        denoiser = VelocityDenoiser(anchored(network, torch.from_numpy(parents)[None]), clip_denoised=False)
        bound = Guided(denoiser, {"low_res": coarse}, {}, guidance_scale=1)
        problems.append(Problem(bound, (UP_SIGMA_MIN, UP_SIGMA_MAX), SeededNoise([0])((1, 6, parents.shape[1]))))
    return problems


def _no_noise(shape: object) -> Tensor:
    raise AssertionError("a deterministic solver drew noise")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--evaluations", type=int, nargs="+", default=[4, 8, 12, 16, 24, 32])
    parser.add_argument("--reference", type=int, default=500, metavar="STEPS")
    parser.add_argument("--prompts", type=int, default=3, metavar="N", help="how many prompts and cells")
    options: argparse.Namespace = parser.parse_args()
    report = Report("solvers", options)
    keep_freed_memory()
    budgets, steps, n = options.evaluations, options.reference, options.prompts
    if options.quick:
        budgets, steps, n = [2, 4], 8, 1
    report.table(
        "mixture of Gaussians, exact denoiser", mixture_rows(budgets, 2_000 if options.quick else 20_000, steps)
    )
    members: dict[str, Callable[[], list[Problem]]] = {
        "base": lambda: base_problems(n, 128 if options.quick else 1024),
        "up": lambda: upsampler_problems(n),
    }
    for member, problems in members.items():
        if missing_weights(member):
            report.note(f"embedded {member}", f"no weights of {member} in the package")
            continue
        asked = problems()
        if not asked:
            report.note(f"embedded {member}", f"the weights of {member} in the package are of another kind")
            continue
        with torch.autocast("cpu", dtype=torch.bfloat16):  # as the pipeline does
            rows = network_rows(asked, budgets, steps)
        report.table(f"embedded {member}, model units", rows)
    report.save()


if __name__ == "__main__":
    main()
