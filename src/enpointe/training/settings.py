"""How a task is trained, and how far a run is."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Phase:
    """Until this part of the budget (1 is the end), train on `n_points` points, `batch` examples a step."""

    until: float
    n_points: int
    batch: int


@dataclass(frozen=True)
class Settings:
    """How a task is trained.

    Attributes:
        phases: the curriculum, in order; the last one's `until` is 1.
        learning_rate: the peak; warmed up over `warmup` steps, then a cosine down to a hundredth.
        optimizer, muon_scale: see `build_optimizers`.
        weight_decay, clip, ema: of AdamW, the gradient's norm, the moving average.
        seed: of weights, data and noise.
        validate_every, checkpoint_every, picture_every: minutes of training between.
    """

    phases: tuple[Phase, ...]
    learning_rate: float = 1e-3
    optimizer: str = "adamw"
    muon_scale: float = 1.0
    warmup: int = 100
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.999
    seed: int = 0
    validate_every: float = 5.0
    checkpoint_every: float = 2.0
    picture_every: float = 15.0

    def phase(self, progress: float) -> Phase:
        """The phase at a part of the budget."""
        return next((phase for phase in self.phases if progress < phase.until), self.phases[-1])

    def rate(self, step: int, progress: float) -> float:
        """The learning rate at a step and a part of the budget."""
        cosine = 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
        return self.learning_rate * min(1.0, (step + 1) / self.warmup) * (0.01 + 0.99 * cosine)


@dataclass
class Progress:
    """What a checkpoint counts."""

    step: int = 0
    seconds: float = 0.0
    examples: int = 0
    best: float = math.inf
    """The lowest held-out loss so far, on the held-out examples of that fingerprint."""
    held_out: str = ""
    done: dict[str, float] = field(default_factory=dict)
    """Training minute at which each periodic job was last done."""

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
