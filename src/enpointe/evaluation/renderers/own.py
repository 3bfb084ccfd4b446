"""The package's own renderer, in NumPy."""

from __future__ import annotations

from enpointe.evaluation.renderers import RENDERERS, Images, ShapeRenderer
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.render.software.perspective import render_cloud, render_mesh


@RENDERERS.register("own")
class OwnImages(ShapeRenderer):
    """See `render.software.perspective`."""

    name = "own"
    note = "rendered by NumPy, shaded by a lamp near the eye"

    def render_cloud(self, cloud: PointCloud) -> Images:
        """See `render_cloud`."""
        return render_cloud(cloud, self.config)

    def render_mesh(self, mesh: Mesh) -> Images:
        """See `render_mesh`."""
        return render_mesh(mesh, self.config)
