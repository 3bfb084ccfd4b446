"""The samplers by name, one file each: a new file is a new name. Naming them needs no PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enpointe.core.registry import Registry

if TYPE_CHECKING:
    from enpointe.diffusion.sampler import Sampler

SAMPLERS: Registry[type[Sampler]] = Registry("sampler", __name__, by_module=True)
