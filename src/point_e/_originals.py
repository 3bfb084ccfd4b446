"""Whether parts of this package are as they were defined, or something in them has been replaced since.

Scripts change the release by subclassing, by assigning to its modules, classes and objects, and by hooks. Where a
computation may be done faster by other means, it is done so only while all that it would go through is the original.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.modules.module import _has_any_global_hook


class Originals:
    """The functions and classes that a module holds, and its classes' methods, when this is made: at its end.

    Args:
        namespace: the module's globals().
    """

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._values = {name: value for name, value in namespace.items() if callable(value)}
        self._methods = {
            value: _methods(value)
            for value in self._values.values()
            if isinstance(value, type) and value.__module__ == namespace["__name__"]
        }

    def are_in_place(self) -> bool:
        """Whether none has been replaced, and no class has got a further method."""
        return all(self._namespace.get(name) is value for name, value in self._values.items()) and all(
            _methods(cls) == methods for cls, methods in self._methods.items()
        )


class Parts:
    """Kinds of modules that a network is made of, as they are when this is made.

    Args:
        kinds: their classes; a subclass is another kind.
        settings: what some of them are set to, by the names of their attributes.
    """

    def __init__(self, *kinds: type[nn.Module], **settings: object) -> None:
        self._forwards = {kind: kind.forward for kind in kinds}
        self._settings = settings

    def make_up(self, network: nn.Module) -> bool:
        """Whether a network is of such modules only, none of them changed, added to or hooked."""
        return not _has_any_global_hook() and all(map(self._is_original, network.modules()))

    def _is_original(self, part: nn.Module) -> bool:
        hooks = (part._forward_hooks, part._forward_pre_hooks, part._backward_hooks, part._backward_pre_hooks)
        if type(part) not in self._forwards or any(hooks) or not is_as_its_class_says(part):
            return False
        settings = {name: value for name, value in vars(part).items() if name in self._settings}
        return type(part).forward is self._forwards[type(part)] and settings.items() <= self._settings.items()


def is_as_its_class_says(instance: object) -> bool:
    """Whether no method, property or constant of the class has been replaced on the instance itself."""
    return vars(instance).keys().isdisjoint(dir(type(instance)))


def _methods(cls: type) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(cls).items()
        if callable(value) or isinstance(value, property | classmethod | staticmethod)
    }
