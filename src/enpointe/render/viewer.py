"""A cloud and a mesh as one HTML file to turn with mouse or finger; it opens without a network."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.core.files import known_suffix, replacing
from enpointe.geometry.checks import Floats
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import Frame, PointCloud
from enpointe.render.software.shading import BARE, DISC, surface

TITLE = "Point cloud"  # where none is given


def save_viewer(
    path: str | Path,
    *,
    cloud: PointCloud | None = None,
    mesh: Mesh | None = None,
    title: str = "",
    notes: Sequence[str] = (),
) -> None:
    """Write the .html: at least one of the two shapes, in the same frame, under a title and notes of any text.

    The page needs WebGL 2 and nothing else; a content policy in it forbids it to load anything.
    InputError without a shape or for another suffix, OutputError where the file cannot be written.
    """
    known_suffix(Path(path), [".html"])
    page = render(cloud, mesh, title, notes)
    with replacing(path) as file:
        file.write(page.encode("utf-8"))


def render(cloud: PointCloud | None, mesh: Mesh | None, title: str, notes: Sequence[str] = ()) -> str:
    """The page itself; each of the notes is a line below the title."""
    data = json.dumps(scene(cloud, mesh), separators=(",", ":"))
    lines = "".join(f"<p>{_text(note)}</p>" for note in notes)
    parts = {"TITLE": _text(title) or TITLE, "NOTES": lines, "DATA": data}
    # In one pass: a title that holds a marker stays a title.
    return re.sub("@@([A-Z]+)@@", lambda found: parts[found[1]], template())


def template() -> str:
    """The page with markers where a title (twice), notes and a `scene` as JSON go: @@TITLE@@, @@NOTES@@, @@DATA@@."""
    return resources.files("enpointe.render").joinpath("viewer.html").read_text(encoding="utf-8")


def scene(cloud: PointCloud | None, mesh: Mesh | None) -> dict[str, Any]:
    """What the page shows, as JSON can hold it."""
    everything = ([] if cloud is None else [cloud.points]) + ([] if mesh is None else [mesh.vertices])
    if not everything:
        raise InputError("viewer: expected a cloud or a mesh, found neither")
    points = np.concatenate(everything)
    # A single point has no extent to scale by: it stands in the middle.
    frame = Frame.of(points) if np.ptp(points, axis=0).any() else Frame(points[0].astype(np.float64), 1.0)
    data: dict[str, Any] = {"disc": 0.02}
    if cloud is not None:
        spacing, normals = surface(frame.to_unit(cloud.points).astype(np.float64))
        data["disc"] = round(float(np.clip(DISC * spacing, 0.001, 0.05)), 5)  # a point's radius
        data["cloud"] = {"count": len(cloud), "normals": _encode(np.round(normals * 127), "i1")}
        data["cloud"] |= _vertices(frame, cloud.points, cloud.colors)
    if mesh is not None:
        colors = np.full_like(mesh.vertices, BARE) if mesh.colors is None else mesh.colors
        data["mesh"] = {"indices": _encode(mesh.faces, "<u4")} | _vertices(frame, mesh.vertices, colors)
    return data


def _vertices(frame: Frame, points: Floats, colors: Floats) -> dict[str, str]:
    return {
        "positions": _encode(np.round(frame.to_unit(points) * (2 * 32767)), "<i2"),
        "colors": _encode(np.round(colors * 255), "u1"),
    }


def _encode(values: NDArray[Any], kind: str) -> str:
    return base64.b64encode(values.astype(kind).tobytes()).decode("ascii")


def _text(title: str) -> str:
    """Text that HTML shows as it is: markup escaped, characters that it cannot hold replaced, on one line."""
    visible = "".join(c if c.isprintable() else " " for c in title)
    return html.escape(visible.encode("utf-8", "replace").decode("utf-8").strip())
