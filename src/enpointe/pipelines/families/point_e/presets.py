"""How clouds are drawn from the released models where a user names no settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from enpointe.checkpoints.registry import MODELS

if TYPE_CHECKING:
    from enpointe.meshing.sparse_grid import Method


@dataclass(frozen=True)
class Sampling:
    """Settings of one stage; see `Stage` for what they mean.

    Attributes:
        options: the sampler's; another sampler keeps those that it has too.
    """

    steps: int
    sigma_max: float
    guidance_scale: float
    sampler: str = "heun"
    options: Mapping[str, float] = field(default_factory=dict)
    sigma_min: float = 1e-3
    rho: float = 7.0
    interval: tuple[float, float] = (0.0, math.inf)
    integer_time: bool = True


@dataclass(frozen=True)
class ReleasedPreset:
    """Settings of a whole run.

    Attributes:
        base, upsampler: of the stages.
        dtype: of the point networks, as `find_dtype` takes it; "auto" is the faster one on the device.
        prepare: conditions embedded once for each stage, equal tokens as one.
        method: where the SDF is evaluated, see `sample_grid`; "interpolated" is off by hundredths of a voxel
            (docs/speed.md).
        keep_small_pieces, color_neighbors: of the mesh.
    """

    base: Sampling
    upsampler: Sampling
    dtype: str = "auto"
    prepare: bool = True
    method: Method = "interpolated"
    keep_small_pieces: bool = False
    color_neighbors: int = 4


# Measured by benchmarks/solvers.py on a mixture of Gaussians with its exact denoiser, guided for the base and not for
# the upsampler: the fewest evaluations whose distance to 500 steps is within the seed-to-seed spread (docs/speed.md).
# Levels spread evenly in log sigma over a narrow range, and the corrector, need half of what DPM++ on the release's do.
_FAST = ReleasedPreset(
    base=Sampling(
        steps=12, sigma_min=0.02, sigma_max=80.0, rho=50.0, guidance_scale=3.0, interval=(0.3, 25.0), sampler="unipc"
    ),
    upsampler=Sampling(steps=7, sigma_min=0.025, sigma_max=15.0, rho=50.0, guidance_scale=1.0, sampler="unipc"),
)
# The release's sampler, as its examples call it: with an image the upsampler is guided, without one it is not.
_REFERENCE_IMAGE = ReleasedPreset(
    base=Sampling(steps=64, sigma_max=120.0, guidance_scale=3.0, options={"s_churn": 3.0}),
    upsampler=Sampling(steps=64, sigma_max=160.0, guidance_scale=3.0),
    dtype="float32",
    prepare=False,
    method="dense",
    keep_small_pieces=True,
    color_neighbors=1,
)
_REFERENCE = replace(_REFERENCE_IMAGE, upsampler=replace(_REFERENCE_IMAGE.upsampler, guidance_scale=0.0))

PRESETS: dict[str, dict[str, ReleasedPreset]] = {
    spec.name: {"fast": _FAST, "reference": _REFERENCE_IMAGE if "image" in spec.inputs else _REFERENCE}
    for spec in MODELS.values()
    if spec.released is not None and spec.pipeline is not None
}
"""By model and preset. "reference" is the release's own way (arXiv 2212.08751, appendix B)."""
