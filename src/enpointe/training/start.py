"""What a run starts from: fresh weights or others, and which part of the network is learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enpointe.checkpoints.weights import load_into, read_weights
from enpointe.pipelines.families.pocket.things import Thing, things_of
from enpointe.training.low_rank import add_low_rank
from enpointe.training.task import Task, TaskConfig


@dataclass(frozen=True)
class Start:
    """How a run begins.

    Attributes:
        init: as `TaskConfig.read_init` takes it; None for the fresh weights.
        low_rank: of the factors that alone are learned, see `low_rank`; None for the whole network.
    """

    init: str | None = None
    low_rank: int | None = None

    def apply(self, task: Task[Any], config: TaskConfig[Any], resumed: Path | None = None) -> None:
        """Changes a task's network, and notes it in the header of what will be saved.

        Args:
            resumed: the weights that the run left so far, of one that goes on, whose network comes from elsewhere:
                what their header says of the run's beginning is kept.

        Raises:
            InputError: peft is not installed, or has nothing to adapt. WeightsError: the weights are missing, damaged
                or another network's.
        """
        info = task.network_info
        if resumed is not None:
            earlier = read_weights(resumed).info
            inherit(info, earlier)
            if "init" in earlier:
                info["init"] = earlier["init"]
        elif self.init is not None:
            weights = config.read_init(self.init)
            load_into(task.network, weights, self.init)
            task.network.requires_grad_(True).train()
            inherit(info, weights.info)
            info["init"] = {"name": self.init, "sha256": weights.sha256}
        if self.low_rank is not None:
            add_low_rank(task.network, self.low_rank)
            info["low_rank"] = self.low_rank


def inherit(info: dict[str, Any], earlier: Mapping[str, Any]) -> None:
    """Adds to a header the nouns and the vocabulary of the weights that training starts from, if they have some."""
    if "nouns" not in earlier:
        return
    things = {thing.name: thing for thing in things_of(earlier)}
    for thing in things_of(info):
        before = vars(things.get(thing.name, thing))
        things[thing.name] = Thing(
            **{key: tuple(dict.fromkeys([*now, *before[key]])) for key, now in vars(thing).items()}
        )
    info["nouns"] = sorted({*info["nouns"], *earlier["nouns"]})
    info["vocabulary"] = [vars(thing) for thing in things.values()]
