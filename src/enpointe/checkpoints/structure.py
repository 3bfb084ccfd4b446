"""The released networks, built empty, and the state dicts that the release's files must hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from enpointe.checkpoints.adapters import to_released
from enpointe.checkpoints.released import RELEASED, RELEASED_POINTNET, RELEASED_SDF
from enpointe.core.errors import InputError, WeightsError

_SHOWN = 6
"""How many keys a message names at most."""


BUILDERS: dict[str, Callable[[], nn.Module]] = {
    **{name: model.config.build for name, model in RELEASED.items()},
    "sdf": RELEASED_SDF.build,
    "pointnet": RELEASED_POINTNET.build,
}


class Unfilled(TorchFunctionMode):
    """Lets constructors skip their initial values: on the meta device these cost seconds and change nothing."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def build_empty(name: str) -> nn.Module:
    """A released network whose tensors have shapes and no values (the meta device): no memory is taken.

    Raises:
        InputError: no such name.
    """
    if name not in BUILDERS:
        raise InputError(f"released checkpoint: expected one of {', '.join(BUILDERS)}; got {name!r}")
    with torch.device("meta"), Unfilled():
        return BUILDERS[name]()


def release_keys(network: nn.Module) -> dict[str, str]:
    """The release's key -> ours, for every tensor of a network's state dict."""
    return to_released({key: key for key in network.state_dict()})


def expected_state(name: str) -> dict[str, Tensor]:
    """The state dict that the release's file of this name holds: its keys, with tensors on the meta device."""
    return to_released(build_empty(name).state_dict())


def check_structure(state: Mapping[str, Tensor], name: str, where: object) -> None:
    """Whether a state dict (the release's keys) is what the network of this name needs.

    Floating-point tensors may be of any precision.

    Raises:
        WeightsError: names the keys that are missing, extra, wrongly shaped or of a wrong kind, and the
            model that the file does belong to, if it is a released one.
    """
    expected = expected_state(name)
    problems = _differences(state, expected)
    if not problems:
        return
    others = (other for other in BUILDERS if other != name)
    match = next((other for other in others if not _differences(state, expected_state(other))), None)
    hint = f" (it is a checkpoint of {match})" if match else ""
    raise WeightsError(f"{where}: expected the weights of {name}, found others{hint}: {'; '.join(problems)}")


def _differences(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    common = [key for key in expected if key in state]
    shapes = [
        f"{key} (expected {tuple(expected[key].shape)}, found {tuple(state[key].shape)})"
        for key in common
        if state[key].shape != expected[key].shape
    ]
    kinds = [
        f"{key} (expected {expected[key].dtype}, found {state[key].dtype})"
        for key in common
        if state[key].is_floating_point() != expected[key].is_floating_point() or state[key].is_complex()
    ]
    found = {
        "missing keys": [key for key in expected if key not in state],
        "extra keys": [key for key in state if key not in expected],
        "wrong shapes": shapes,
        "wrong kinds": kinds,
    }
    return [f"{what} {_listed(keys)}" for what, keys in found.items() if keys]


def _listed(keys: list[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more
