"""A classifier, an encoder and a renderer that are quick, and that keep the contracts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from enpointe.core.errors import RenderError
from enpointe.evaluation.classifiers import Classifier
from enpointe.evaluation.encoders import ImageTextEncoder
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.io.assets.model import Model
from enpointe.nn.pointnet2 import PointNet2
from enpointe.render.camera import Camera
from enpointe.render.renderers import Renderer
from enpointe.render.software.perspective import Images, RenderConfig
from enpointe.render.view import View


def tiny_classifier(*classes: str) -> Classifier:
    """Random weights, always the same."""
    torch.manual_seed(0)
    network = PointNet2(classes=len(classes), width=0.03, samples=(16, 8), neighbours=(8, 8)).eval()
    return Classifier("pocket-classifier", network, classes, {"accuracy": 0.9}, "random", "00")


class ColorEncoder(ImageTextEncoder):
    """Knows colors only: a text's vector is its color, an image's the mean of what is not the ground."""

    name, note, score_title = "joint", "knows colors only", "Text match"
    quality: Mapping[str, Any] = MappingProxyType({"r_at_1": 0.5})
    _colors: ClassVar = {"red": (1.0, 0.1, 0.1), "pink": (1.0, 0.5, 0.7), "green": (0.1, 0.7, 0.2)}

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        found = [next((v for k, v in self._colors.items() if k in text), (0.5, 0.5, 0.5)) for text in texts]
        return self._unit(np.array(found))

    def encode_images(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return self._unit(np.stack([image[image.std(axis=2) > 8].mean(axis=0) for image in images]))

    def _unit(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class MeanRenderer(Renderer):
    """One image of the mean color; it fails at clouds of `fails_at` points, and of a mesh everything is pink."""

    name, note = "blender 9", "one color"
    fails_at = 20

    def render(self, model: Model, cameras: Sequence[Camera]) -> list[View]:
        raise RenderError("Blender stalled")

    def images(self, shape: PointCloud | Mesh, config: RenderConfig) -> Images:
        if isinstance(shape, Mesh):
            return np.full((1, 8, 8, 3), (255, 128, 178), np.uint8)
        if len(shape) == self.fails_at:
            raise RenderError("Blender stalled")
        return np.full((1, 8, 8, 3), np.rint(255 * shape.colors.mean(axis=0)), np.uint8)
