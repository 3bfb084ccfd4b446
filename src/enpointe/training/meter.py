"""What the steps of a run gave, gathered on the device, and whether it still learns."""

from __future__ import annotations

import math
from collections import deque
from statistics import median

import torch
from torch import Tensor

from enpointe.training.task import Losses

QUARTERS = 4
BAD_REPORTS = 3
"""So many reports without a sane loss end a run."""
TIMES_MEDIAN = 10.0
"""A loss of more than so many times the median of the last ones is not sane."""
REMEMBERED = 50


class Meter:
    """Sums of what steps gave, on the device until they are read."""

    def __init__(self, device: torch.device) -> None:
        self._sums = torch.zeros(4 + 2 * QUARTERS, device=device)
        self._has_levels = False

    @torch.no_grad()
    def add(self, losses: Losses, norm: Tensor, skipped: Tensor) -> None:
        """A step's losses, its gradient's norm, and whether it was left out (1.0): then it counts as that alone."""
        value = losses.value.detach().float().nan_to_num()
        kept = 1 - skipped
        self._sums[:4] += torch.stack([kept, value.mean() * kept, norm.float().nan_to_num(posinf=0.0) * kept, skipped])
        if losses.noise_level is not None:
            self._has_levels = True
            quarter = (losses.noise_level * QUARTERS).long().clamp(0, QUARTERS - 1)
            self._sums[4 : 4 + QUARTERS].index_add_(0, quarter, value * kept)
            self._sums[4 + QUARTERS :].index_add_(0, quarter, kept.expand(len(value)))

    def read(self) -> dict[str, float]:
        """Means since the last reading: "loss" (infinite if all steps were left out), "gradient norm", the share of
        steps that were left out as "skipped", and "loss/noise 0.25" by quarter of the noise; {} without any step."""
        kept, loss, norm, skipped, *levels = self._sums.tolist()
        self._sums.zero_()
        if not kept:
            return {"loss": math.inf, "skipped": 1.0} if skipped else {}
        found = {"loss": loss / kept, "gradient norm": norm / kept, "skipped": skipped / (kept + skipped)}
        if self._has_levels:
            for quarter, (total, n) in enumerate(zip(levels[:QUARTERS], levels[QUARTERS:], strict=True)):
                if n:
                    found[f"loss/noise {quarter / QUARTERS:.2f}"] = total / n
        return found


class Health:
    """Whether losses are finite and of the size that they had."""

    def __init__(self) -> None:
        self._seen: deque[float] = deque(maxlen=REMEMBERED)
        self._bad = 0

    def add(self, loss: float) -> None:
        """A report's mean loss."""
        if math.isfinite(loss) and (len(self._seen) < REMEMBERED // 5 or loss <= TIMES_MEDIAN * median(self._seen)):
            self._seen.append(loss)
            self._bad = 0
        else:
            self._bad += 1

    @property
    def good(self) -> bool:
        """Whether the last loss was sane: only then is a state worth keeping."""
        return not self._bad

    @property
    def lost(self) -> bool:
        """Whether it is time to give up."""
        return self._bad >= BAD_REPORTS
