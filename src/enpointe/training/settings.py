"""How a task is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from enpointe.core.errors import InputError

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
        learning_rate: the peak, kept from the warm-up to the cool-down.
        warmup: steps in which it rises from 0, at the beginning, and to wherever a resumed run has it.
        cooldown: the last part of the budget, in which it falls to 0 in a straight line.
        optimizer, muon_scale: see `build_optimizers`.
        weight_decay, clip: of AdamW and Muon, the gradient's norm.
        ema: the decays of moving averages, shortest first: the one with the lowest held-out loss is kept.
        seed: of weights, data and noise.
        compile: the network with torch.compile, where that works.
        dtype: of products, see `core.precision.find_dtype`; weights are float32.
        feed: "stream" draws examples as the training goes, "resident" has all of them in the device's memory (tasks of
            clouds and captions, pools); "auto": the latter on a GPU where it is possible.
        microbatch: examples of a step that go through the network at a time, to take less memory; None: all. For tasks
            in which each example has its own loss, and its own row of everything in a batch.
        workers: processes that draw examples ahead, for each that trains; 0: none.
        appearances: of each object in the device's memory.
        validate_every, checkpoint_every, average_every, image_every: minutes of training between.

    Raises:
        InputError: a number is out of its range, or phases do not go on to the end.
    """

    phases: tuple[Phase[E], ...]
    learning_rate: float = 1e-3
    warmup: int = 100
    cooldown: float = 0.25
    optimizer: Literal["adamw", "muon"] = "adamw"
    muon_scale: float = 1.0
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: tuple[float, ...] = (0.995, 0.999)
    seed: int = 0
    compile: bool = True
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    feed: Literal["auto", "stream", "resident"] = "auto"
    microbatch: int | None = None
    workers: int = 0
    appearances: int = 12
    validate_every: float = 5.0
    checkpoint_every: float = 2.0
    average_every: float = 1.0
    image_every: float = 15.0

    def __post_init__(self) -> None:
        ends = [phase.until for phase in self.phases]
        if not ends or ends != sorted(ends) or ends[-1] != 1:
            raise InputError(f"phases: expected ends that rise to 1, found {ends}")
        if self.microbatch is not None and self.microbatch < 1:
            raise InputError(f"microbatch: expected 1 or more, or none, found {self.microbatch}")
        for name, low, high in (
            ("learning_rate", 1e-12, 1e3), ("warmup", 1, 10**9), ("cooldown", 0, 1), ("muon_scale", 0, 1e3),
            ("weight_decay", 0, 1e3), ("clip", 1e-12, 1e12), ("seed", 0, 2**53), ("workers", 0, 1024),
            ("appearances", 1, 10**6),
        ):  # fmt: skip
            value = getattr(self, name)
            if not low <= value <= high:  # NaN is not
                raise InputError(f"{name}: expected a number from {low:g} to {high:g}, found {value}")
        if min(phase.batch for phase in self.phases) < 1:
            raise InputError(f"phases: expected batches of 1 or more, found {[phase.batch for phase in self.phases]}")
        if not self.ema or not all(0 <= decay < 1 for decay in self.ema) or list(self.ema) != sorted(self.ema):
            raise InputError(f"ema: expected rising decays from 0 to below 1, found {self.ema}")

    def phase(self, spent: float) -> Phase[E]:
        """The phase at a part of the budget."""
        return next((phase for phase in self.phases if spent < phase.until), self.phases[-1])

    def rate(self, spent: float, before: float) -> float:
        """The learning rate at a part of the budget, in units of the peak.

        Args:
            before: the last step's: it rises by no more than the warm-up lets it.
        """
        cooled = min(1.0, max(0.0, 1 - spent) / self.cooldown) if self.cooldown else 1.0
        return min(cooled, before + 1 / self.warmup)
