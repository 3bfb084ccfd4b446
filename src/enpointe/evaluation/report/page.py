"""Pages that open without a network: blocks of tables, plots and images, filled into one template."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from PIL import Image

from enpointe.core.files import replacing
from enpointe.evaluation.blocks import Block
from enpointe.geometry.point_cloud import PointCloud
from enpointe.render.software.orthographic import views

SIDE, COLORS = 200, 96
"""Of an image: pixels along a side, and different colors."""


def save_page(
    path: Path, title: str, subtitle: str, blocks: Sequence[Block | None], images: Mapping[str, str] | None = None
) -> None:
    """Write the page; blocks that are None are left out.

    Args:
        images: PNG in base64, by the names by which cards call them.

    Raises:
        OutputError: it cannot be written.
    """
    data = {
        "title": title,
        "subtitle": subtitle,
        "blocks": [block for block in blocks if block is not None],
        "images": dict(images or {}),
    }
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    page = resources.files("enpointe.evaluation.report").joinpath("report.html").read_text(encoding="utf-8")
    with replacing(path) as file:
        file.write(page.replace("%%DATA%%", text).encode("utf-8", "backslashreplace"))


def cloud_image(cloud: PointCloud) -> str:
    """A cloud from its front and from its back, side by side, as PNG in base64."""
    image = Image.fromarray(views(cloud, 2, SIDE, columns=2))
    file = io.BytesIO()
    image.quantize(COLORS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")
