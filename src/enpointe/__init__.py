"""A prompt becomes a colored 3D point cloud and a mesh.

    import enpointe
    result = enpointe.load("pocket").generate("a pink motorcycle", seed=7)
    result.show()
    result.save("motorcycle")

Importing the package is cheap: numpy, PyTorch and the rest are imported when a name below is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from enpointe.core.errors import (
        DeviceError,
        EnpointeError,
        InputError,
        MeshError,
        OutputError,
        RenderError,
        WeightsError,
    )
    from enpointe.core.warnings import EnpointeWarning, PromptWarning
    from enpointe.geometry.mesh import Mesh
    from enpointe.geometry.point_cloud import PointCloud
    from enpointe.pipelines.base import Pipeline
    from enpointe.pipelines.load import load, models, samplers
    from enpointe.pipelines.result import Result

__version__ = "0.1.0"

_MODULES = {
    "enpointe.core.errors": (
        "DeviceError", "EnpointeError", "InputError", "MeshError", "OutputError", "RenderError", "WeightsError",
    ),
    "enpointe.core.warnings": ("EnpointeWarning", "PromptWarning"),
    "enpointe.geometry.mesh": ("Mesh",),
    "enpointe.geometry.point_cloud": ("PointCloud",),
    "enpointe.pipelines.base": ("Pipeline",),
    "enpointe.pipelines.load": ("load", "models", "samplers"),
    "enpointe.pipelines.result": ("Result",),
}  # fmt: skip
"""Where the public names are defined."""

__all__ = [
    "DeviceError", "EnpointeError", "EnpointeWarning", "InputError", "Mesh", "MeshError", "OutputError", "Pipeline",
    "PointCloud", "PromptWarning", "RenderError", "Result", "WeightsError", "__version__", "load", "models", "samplers",
]  # fmt: skip


def __getattr__(name: str) -> object:
    module = next((module for module, names in _MODULES.items() if name in names), None)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(module), name)
    globals()[name] = value  # the next look-up no longer comes here
    return value


def __dir__() -> list[str]:
    return __all__
