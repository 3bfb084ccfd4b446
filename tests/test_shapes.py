"""Annotations of shapes are checked wherever a test calls."""

from __future__ import annotations

from importlib import import_module
from inspect import isclass, isfunction
from pkgutil import walk_packages
from typing import Any, get_type_hints

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor

from enpointe.diffusion.step import slope
from enpointe.geometry.point_cloud import Frame, PointCloud


@pytest.mark.parametrize("points", [np.zeros((4, 2), np.float32), np.zeros((4, 3)), [[0.0, 0.0, 0.0]]])
def test_a_wrong_shape_dtype_or_type_is_an_error(points: Any) -> None:
    with pytest.raises(TypeCheckError, match="n 3"):
        Frame.of(points)


@pytest.mark.parametrize(
    ("x", "denoised"),
    [(torch.zeros(2, 6, 4), torch.zeros(2, 6, 5)), (torch.zeros(2, 6, 4), torch.zeros(2, 6, 4).long())],
)
def test_shapes_have_to_agree_with_each_other(x: Tensor, denoised: Tensor) -> None:
    assert slope(x, x, 2.0).shape == x.shape
    with pytest.raises(TypeCheckError, match="denoised"):
        slope(x, denoised, 2.0)


def test_so_is_a_wrong_result(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = PointCloud(np.eye(3), np.eye(3))
    assert cloud.nearest(np.eye(3)).tolist() == [0, 1, 2]
    monkeypatch.setattr(PointCloud, "neighbors", lambda self, queries, k: (np.zeros((3, 1)), np.zeros((3, 1))))
    with pytest.raises(TypeCheckError, match="the return value of"):
        cloud.nearest(np.eye(3))


@pytest.mark.parametrize("room", ["diffusion", "geometry", "nn"])
def test_every_annotation_can_be_read(room: str) -> None:
    """One that names something unknown would be checked as anything."""
    package = import_module(f"enpointe.{room}")
    modules = [import_module(found.name) for found in walk_packages(package.__path__, f"{package.__name__}.")]
    read = 0
    for module in modules:
        scopes = [vars(module), *(vars(value) for value in vars(module).values() if isclass(value))]
        for function in (value for scope in scopes for value in scope.values() if isfunction(value)):
            if function.__module__ == module.__name__:
                get_type_hints(function)
                read += 1
    assert read > 20
