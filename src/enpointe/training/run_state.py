"""How far a run has come."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass
class RunState:
    """What a checkpoint counts.

    Attributes:
        step, seconds, examples: of training so far.
        rate: the last step's learning rate, in units of the peak.
        dtype: of products: a resumed run computes in the same one.
        best: the lowest held-out loss so far, on the held-out examples with the fingerprint `held_out`.
        average: which moving average had the lowest held-out loss when last measured.
        done: the minute of training at which each periodic job was last done.
    """

    step: int = 0
    seconds: float = 0.0
    examples: int = 0
    rate: float = 0.0
    dtype: str = ""
    best: float = math.inf
    held_out: str = ""
    average: int = 0
    done: dict[str, float] = field(default_factory=dict)

    def due(self, job: str, every: float) -> bool:
        """Whether so many minutes have passed since the job was last due; if so, it now was."""
        now = self.seconds / 60
        if now - self.done.get(job, 0.0) < every:
            return False
        self.done[job] = now
        return True

    def spent(self, minutes: float | None, steps: int | None) -> float:
        """The part of the budget that is used; of two budgets the one that is nearer to its end."""
        used = (self.seconds / 60, self.step)
        return max(part / whole for part, whole in zip(used, (minutes, steps), strict=True) if whole is not None)
