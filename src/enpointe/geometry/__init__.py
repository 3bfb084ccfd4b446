"""What a cloud and a mesh are: numpy arrays in the unit frame (z up, centered, longest side 1)."""

from __future__ import annotations

from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud

__all__ = ["Mesh", "PointCloud"]
