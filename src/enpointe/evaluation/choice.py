"""Networks that a run chooses among: one by its name, or the best that is at hand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, TypeVar

from enpointe.core.errors import InputError
from enpointe.core.registry import Registry

AUTO = "auto"


class Choice(ABC):
    """What stands in a registry for a network that may be there or not.

    Attributes:
        preference: of those at hand "auto" takes the one with the highest.
    """

    preference: ClassVar[int]

    @abstractmethod
    def is_at_hand(self) -> bool:
        """Whether it can be loaded without a download."""


C = TypeVar("C", bound=Choice)


def chosen(registry: Registry[C], name: str) -> C:
    """The one of that name, or of "auto".

    Raises:
        InputError: there is none.
    """
    if name == AUTO:
        by_preference = sorted(registry.values(), key=lambda choice: -choice.preference)
        return next(choice for choice in by_preference if choice.is_at_hand())
    if name not in registry:
        raise InputError(f"{registry.kind}: expected one of {AUTO}, {', '.join(registry)}, found {name!r}")
    return registry[name]
