"""The trainable tasks, one file each with its recipe: a new file is a new name. Naming them needs no PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from enpointe.core.registry import Registry

if TYPE_CHECKING:
    from enpointe.training.recipe import Recipe

RECIPES: Registry[Recipe[Any]] = Registry("recipe", __name__, by_module=True, separator="-")
"""What `enpointe train` runs, by name: "pocket-layout" is registered by `pocket_layout.py`."""
