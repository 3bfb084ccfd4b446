"""What a pipeline gives: a cloud, what it came from, and how to have its mesh."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enpointe.core.errors import InputError
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud

if TYPE_CHECKING:
    from enpointe.core.progress import ProgressCallback
    from enpointe.io.sample_folder import SampleFolder
    from enpointe.pipelines.base import Pipeline


@dataclass(frozen=True, repr=False, eq=False)
class Result:
    """A generated cloud and its origin.

    Attributes:
        cloud: in the unit frame.
        prompt: the text that it was generated from; None for a model that draws from something else.
        image: the name of the image file that it was generated from, if any.
        seed: the same seed, input and settings give the same points.
        warnings: what of the prompt the model ignores, one line each.
        meta: JSON values: model, settings, hashes of the weights, seconds; what `meta.json` holds.
    """

    cloud: PointCloud
    seed: int
    prompt: str | None = None
    image: str | None = None
    warnings: tuple[str, ...] = ()
    meta: dict[str, Any] = field(default_factory=dict)
    pipeline: Pipeline | None = None

    def __repr__(self) -> str:
        origin = [repr(name) for name in (self.prompt, self.image) if name is not None]
        model = self.meta.get("model", "unknown model")
        return f"Result({', '.join([*origin, f'seed {self.seed}', str(model), repr(self.cloud)])})"

    def mesh(
        self, grid_size: int = 128, *, keep_small_pieces: bool = False, progress: bool | ProgressCallback = False
    ) -> Mesh:
        """The cloud's surface, see `Pipeline.mesh`.

        Raises:
            InputError: the result was pickled and read again: it has lost its pipeline.
            MeshError: the network sees no closed surface in this cloud.
        """
        if self.pipeline is None:
            raise InputError(
                "mesh: expected a result with its pipeline, found one without (pickling leaves it behind); "
                "use enpointe.load(name).mesh(result.cloud)"
            )
        return self.pipeline.mesh(
            self.cloud, grid_size=grid_size, keep_small_pieces=keep_small_pieces, progress=progress
        )

    def save(
        self,
        folder: str | Path,
        *,
        mesh: bool | Mesh = True,
        grid_size: int = 128,
        progress: bool | ProgressCallback = True,
    ) -> SampleFolder:
        """Writes cloud.ply, cloud.npz, mesh.glb, views.png, view.html and meta.json.

        The folder appears whole or not at all. In one that is there, the files of a former sample are replaced.

        Args:
            mesh: a mesh that is there already, or whether to make one, on a grid of `grid_size`.

        Raises:
            MeshError: the network sees no closed surface in this cloud.
            OutputError: the folder cannot be written.
        """
        from enpointe.io.sample_folder import SampleFolder, replacing_samples

        with replacing_samples(Path(folder)) as staging:
            self.write(staging, mesh=mesh, grid_size=grid_size, progress=progress)
        return SampleFolder(Path(folder))

    def write(
        self,
        folder: Path,
        *,
        mesh: bool | Mesh = True,
        grid_size: int = 128,
        progress: bool | ProgressCallback = True,
    ) -> None:
        """The files of `save` one after the other, into a folder that a caller publishes when all are there."""
        from enpointe.io.sample_folder import SampleFolder
        from enpointe.render.software.orthographic import views

        meta = dict(self.meta)
        if mesh is True:
            began = time.perf_counter()
            mesh = self.mesh(grid_size, progress=progress)
            meta["seconds"] = {**meta.get("seconds", {}), "mesh": round(time.perf_counter() - began, 3)}
        shape = mesh if isinstance(mesh, Mesh) else None
        meta["mesh"] = None if shape is None else {"grid": grid_size}
        SampleFolder(folder).write(self.cloud, shape, meta, views=views(self.cloud), page=self._page(shape))

    def show(self, *, mesh: bool = False, grid_size: int = 128) -> Path | None:
        """Shows the cloud, and with `mesh` its surface, to turn with the mouse: in a notebook, else in the browser.

        Returns:
            The page's temporary file; None in a notebook.
        """
        from enpointe.render.show import show_page

        return show_page(self._page(self.mesh(grid_size) if mesh else None))

    def _repr_html_(self) -> str:
        from enpointe.render.show import notebook_frame

        return notebook_frame(self._page(None))

    def _page(self, mesh: Mesh | None) -> str:
        from enpointe.render import viewer

        return viewer.render(self.cloud, mesh, self.title, notes=self.warnings)

    @property
    def title(self) -> str:
        """What it was generated from, for people."""
        return self.prompt or self.image or str(self.meta.get("model", ""))

    def __getstate__(self) -> dict[str, Any]:
        """Without the pipeline, whose networks are many times larger than a cloud."""
        return {**vars(self), "pipeline": None}
