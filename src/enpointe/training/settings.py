"""How a task is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

E = TypeVar("E")


@dataclass(frozen=True)
class Phase(Generic[E]):
    """A part of the training.

    Attributes:
        until: the part of the budget at which it ends; 1 is the end.
        batch: examples of a step.
        examples: the task's own settings of an example, such as how many points it has.
    """

    until: float
    batch: int
    examples: E


@dataclass(frozen=True)
class Settings(Generic[E]):
    """How a task is trained.

    Attributes:
        phases: the curriculum, in order; the last one's `until` is 1.
        learning_rate: the peak; warmed up over `warmup` steps, then a cosine down to a hundredth.
        optimizer, muon_scale: see `build_optimizers`.
        weight_decay, clip, ema: of AdamW, the gradient's norm, the moving average.
        seed: of weights, data and noise.
        compile: the network with torch.compile, where that works.
        dtype: of products, see `core.precision.find_dtype`; weights are float32.
        feed: "stream" draws examples as the training goes, "resident" has all of them in the device's memory (tasks of
            clouds and captions, pools); "auto": the latter on a GPU where it is possible.
        microbatch: examples of a step that go through the network at a time, to take less memory; None: all. For tasks
            in which each example has its own loss, and its own row of everything in a batch.
        workers: processes that draw examples ahead, for each that trains; 0: none.
        appearances: of each object in the device's memory.
        validate_every, checkpoint_every, image_every: minutes of training between.
    """

    phases: tuple[Phase[E], ...]
    learning_rate: float = 1e-3
    optimizer: str = "adamw"
    muon_scale: float = 1.0
    warmup: int = 100
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.999
    seed: int = 0
    compile: bool = True
    dtype: str = "auto"
    feed: Literal["auto", "stream", "resident"] = "auto"
    microbatch: int | None = None
    workers: int = 0
    appearances: int = 12
    validate_every: float = 5.0
    checkpoint_every: float = 2.0
    image_every: float = 15.0

    def phase(self, spent: float) -> Phase[E]:
        """The phase at a part of the budget."""
        return next((phase for phase in self.phases if spent < phase.until), self.phases[-1])

    def rate(self, step: int, spent: float) -> float:
        """The learning rate at a step and a part of the budget."""
        cosine = 0.5 * (1 + math.cos(math.pi * min(spent, 1.0)))
        return self.learning_rate * min(1.0, (step + 1) / self.warmup) * (0.01 + 0.99 * cosine)
