"""State dicts under the release's key names."""

from __future__ import annotations

from typing import Any

from torch import nn

from enpointe.models.released import IMAGE

INSIDE = "network."
GRID = f"grid_embed.{IMAGE}."
VECTOR = "vector_embed."
RELEASED = "clip_embed."


class ReleasedKeys(nn.Module):
    """A module around an enpointe network `network` whose weights go in and out under the release's names."""

    network: nn.Module

    def __init__(self) -> None:
        super().__init__()
        self.register_state_dict_post_hook(_to_released)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_from_released)  # type: ignore[no-untyped-call]


def _to_released(_module: nn.Module, state: dict[str, Any], prefix: str, _metadata: Any) -> None:
    for key in [key for key in state if key.startswith(prefix + INSIDE)]:
        name = key.removeprefix(prefix + INSIDE)
        for ours in (GRID, VECTOR):
            if name.startswith(ours):
                name = RELEASED + name.removeprefix(ours)
        state[prefix + name] = state.pop(key)


def _from_released(module: nn.Module, state: dict[str, Any], prefix: str, *_rest: Any) -> None:
    grid = any(name.startswith(GRID) for name, _ in module.get_submodule("network").named_parameters())
    for key in [key for key in state if key.startswith(prefix) and not key.startswith(prefix + INSIDE)]:
        name = key.removeprefix(prefix)
        if name.startswith(RELEASED):
            name = (GRID if grid else VECTOR) + name.removeprefix(RELEASED)
        state[prefix + INSIDE + name] = state.pop(key)
