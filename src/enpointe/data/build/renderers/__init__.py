"""Renderers of a build's views: each module here registers what opens one, under its own name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from enpointe.core.registry import Registry

if TYPE_CHECKING:
    from enpointe.data.build.convert import OpenRenderer

Choose: TypeAlias = "Callable[[int, int], OpenRenderer]"
"""From the samples of lit views (0: none are made) and the threads that a worker may use to what opens the renderer,
which is sent to each worker."""

RENDERERS: Registry[Choose] = Registry("renderer", __name__, by_module=True)
