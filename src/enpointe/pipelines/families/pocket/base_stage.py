"""How the embedded networks draw a cloud of 1,024 points from a text."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from enpointe.diffusion.denoiser import ConditionalDenoiser, ExpertDenoiser, FlowDenoiser, VelocityDenoiser
from enpointe.diffusion.guidance import Guidance
from enpointe.diffusion.sampler import make_sampler
from enpointe.diffusion.schedule import KarrasSchedule
from enpointe.nn.detail import Detail
from enpointe.nn.layout import Layout
from enpointe.nn.point_transformer import PointTransformer
from enpointe.pipelines.stage import Stage

BASE_POINTS = 1024
SIGMA_MIN, SIGMA_MAX = 0.01, 60.0
"""The noise levels between which it samples, data being at about unit scale."""
DETAIL_SIGMA = 0.25
"""The highest noise level of the detail network, which was trained up to twice of it. By then it is decided what the
cloud shows: it is guided no more."""


@dataclass(frozen=True)
class Preset:
    """Settings of the base stage that a user did not name; how they were chosen: assets/README.md."""

    steps: int = 16
    guidance_scale: float = 2.5
    sampler: str = "dpmpp"
    upsample_steps: int = 6


_PRESET = Preset()


@dataclass(frozen=True, eq=False)
class Drawing:
    """How clouds are drawn: the networks, and what was measured to go with them.

    Attributes:
        denoiser: takes the condition {"grids": {"text": (N, 384, L)}}.
        text_tokens: L.
        guided: noise levels with guidance.
        shape_guidance: positions are guided so much less than colors: strong guidance takes away the thin parts that
            many families have, such as the legs of tables, and colors want it.
        noise_limit: larger starting noise is cut to this many standard deviations (as in Brock et al. 2018, arXiv
            1809.11096, section 3.1): the few points that begin farther out end as strays.
        any_size: whether the networks draw any number of points, or `BASE_POINTS` alone, in kd order.
    """

    denoiser: ConditionalDenoiser
    text_tokens: int
    guided: tuple[float, float]
    shape_guidance: float
    noise_limit: float
    any_size: bool

    def stage(
        self,
        n_points: int = BASE_POINTS,
        *,
        steps: int = _PRESET.steps,
        guidance_scale: float = _PRESET.guidance_scale,
        sampler: str = _PRESET.sampler,
        dtype: torch.dtype = torch.float32,
    ) -> Stage:
        """Draws clouds (N, 6, n_points or `BASE_POINTS`) in model units.

        Raises:
            InputError: there is no such sampler, or steps are fewer than 1.
        """
        shape_scale = 1 + self.shape_guidance * (guidance_scale - 1) if guidance_scale else 1.0
        return Stage(
            self.denoiser,
            make_sampler(sampler),
            KarrasSchedule(SIGMA_MIN, SIGMA_MAX),
            steps,
            (6, min(n_points, BASE_POINTS) if self.any_size else BASE_POINTS),
            Guidance(guidance_scale, self.guided, shape_scale),
            noise_limit=self.noise_limit,
            dtype=dtype,
        )


def pair(layout: Layout, detail: Detail, text_tokens: int = 24) -> Drawing:
    """The layout network down to some noise, the detail network from there on."""
    denoiser = ExpertDenoiser(FlowDenoiser(layout), FlowDenoiser(detail), DETAIL_SIGMA)
    return Drawing(denoiser, text_tokens, (DETAIL_SIGMA, 32.0), 0.5, 1.9, any_size=False)


def single(base: PointTransformer, text_tokens: int) -> Drawing:
    """One network over points, at all noise levels."""
    return Drawing(VelocityDenoiser(base), text_tokens, (0.0, float("inf")), 0.2, 2.3, any_size=True)
