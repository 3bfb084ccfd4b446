"""A prompt becomes a coloured 3D point cloud and a mesh.

    import enpointe
    result = enpointe.load("pocket").generate("a pink motorcycle", seed=7)
    result.cloud, result.mesh()

Importing the package is cheap: numpy, PyTorch and the rest are imported when a name below is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from enpointe.geometry.mesh import Mesh
    from enpointe.geometry.point_cloud import PointCloud
    from enpointe.pipelines.load import load

__version__ = "0.1.0"
__all__ = ["Mesh", "PointCloud", "__version__", "load"]

_HOMES = {
    "Mesh": "enpointe.geometry.mesh",
    "PointCloud": "enpointe.geometry.point_cloud",
    "load": "enpointe.pipelines.load",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value  # the next look-up no longer comes here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
