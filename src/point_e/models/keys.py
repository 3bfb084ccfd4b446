"""State dicts under the release's key names."""

from __future__ import annotations

from typing import Any

from torch import nn

from enpointe.checkpoints.structure import release_keys

INSIDE = "network."


class ReleasedKeys(nn.Module):
    """A module around an enpointe network `network` whose weights go in and out under the release's names."""

    network: nn.Module

    def __init__(self) -> None:
        super().__init__()
        self.register_state_dict_post_hook(_to_released)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_from_released)  # type: ignore[no-untyped-call]


def _to_released(module: nn.Module, state: dict[str, Any], prefix: str, _metadata: Any) -> None:
    for released, ours in release_keys(module.get_submodule("network")).items():
        state[prefix + released] = state.pop(prefix + INSIDE + ours)


def _from_released(module: nn.Module, state: dict[str, Any], prefix: str, *_rest: Any) -> None:
    ours = release_keys(module.get_submodule("network"))
    for key in [key for key in state if key.startswith(prefix) and not key.startswith(prefix + INSIDE)]:
        name = key.removeprefix(prefix)
        state[prefix + INSIDE + ours.get(name, name)] = state.pop(key)
