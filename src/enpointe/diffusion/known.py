"""Samples of which a part is given: a partial cloud, an image with a hole.

As in RePaint (Lugmayr et al. 2022, arXiv 2201.09865, section 4.1), but with one noise for the whole run.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from enpointe.core.errors import InputError
from enpointe.diffusion.denoiser import Denoiser
from enpointe.diffusion.schedule import Level
from enpointe.diffusion.shapes import Samples
from enpointe.diffusion.step import Frame


@dataclass(frozen=True, eq=False)
class Known:
    """Entries of samples that stay as they are.

    The rest agrees with them less than it should, since evaluations see them noisy; with more steps and with churn it
    agrees better (docs/concepts.md).

    Args:
        values: (N or 1, C, ...), model units; what is not known is not read.
        mask: boolean, (N or 1, C or 1, ...), true where an entry is known.

    Raises:
        InputError: a mask of other values.
    """

    values: Float[Tensor, "..."]
    mask: Bool[Tensor, "..."]

    def __post_init__(self) -> None:
        if self.mask.dtype != torch.bool:
            raise InputError(f"known mask: expected booleans, found {self.mask.dtype}")

    def restore(self, x: Samples) -> Samples:
        """x (N, C, ...) with the known entries in their places."""
        return torch.where(self.mask.to(x.device), self.values.to(x), x)

    def keep(self, denoiser: Denoiser, noise: Samples, frame: Frame) -> Denoiser:
        """A denoiser whose samples keep the known entries.

        At every call they enter anew, noised to the call's level, and leave as they are. Noised always by the same
        draw, they move along the straight line on which the probability flow takes a sample to its x0, so that
        solvers of higher order meet no jump.

        Args:
            noise: standard normal (N, C, ...), that of the run's start.
            frame: of the denoiser's x.
        """

        def kept(x: Tensor, sigma: Level) -> Tensor:
            level = torch.as_tensor(sigma).to(x).reshape(-1, *[1] * (x.ndim - 1))
            noised = self.values.to(x) + level * noise
            if frame == "vp":
                noised = noised / (1 + level**2).sqrt()
            output = denoiser(torch.where(self.mask.to(x.device), noised, x), sigma)
            n = x.shape[1]  # behind them may be variance values
            return torch.cat([self.restore(output[:, :n]), output[:, n:]], dim=1)

        return kept
