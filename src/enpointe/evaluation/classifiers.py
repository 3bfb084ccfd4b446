"""The networks behind P-FID and P-IS: the released one, and the one that comes with the package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from enpointe.checkpoints.embedded import embedded_path, read_network
from enpointe.checkpoints.hub.cache import weights_path
from enpointe.checkpoints.loading import load_released
from enpointe.core.errors import InputError, WeightsError
from enpointe.nn.pointnet2 import PointNet2

RELEASED, POCKET = "pointnet", "pocket-classifier"
CHOICES = ("auto", "released", "pocket")

_APART = "P-FID and P-IS by one classifier say nothing beside those by another."


@dataclass(frozen=True)
class Classifier:
    """A network that tells clouds apart, and what is to be said of the numbers that it makes."""

    name: str
    """"pointnet" or "pocket-classifier"."""
    network: PointNet2
    """In evaluation mode, without gradients."""
    classes: tuple[str, ...] | None
    """Of the probabilities, in their order; None where the weights do not name them."""
    quality: Mapping[str, Any]
    """Measured on objects that it did not learn from; empty where nothing is known."""
    note: str
    """Which network it is, what it learned from, and what its numbers can be compared with."""
    sha256: str
    """Of the file that the weights came from."""


def load_classifier(
    choice: str = "auto", *, path: Path | None = None, device: torch.device | str = "cpu"
) -> Classifier:
    """The classifier that scores are made with.

    Args:
        choice: "released" is the release's `pointnet`, downloaded if it is not in the user's cache; "pocket"
            the one of the package; "auto" the former where its weights lie in the cache, otherwise the latter,
            so that nothing is ever downloaded by it.
        path: another file of the weights.

    Raises:
        InputError: another choice, or a path with "auto".
        WeightsError: the weights cannot be had, or are not those of such a network.
    """
    if choice not in CHOICES:
        raise InputError(f"classifier: expected one of {', '.join(CHOICES)}, found {choice!r}")
    if choice == "auto":
        if path is not None:
            raise InputError("classifier: expected released or pocket beside a file of weights, found auto")
        choice = "released" if weights_path(RELEASED).is_file() else "pocket"
    return _released(path, device) if choice == "released" else _pocket(path or embedded_path("classifier"), device)


def _released(path: Path | None, device: torch.device | str) -> Classifier:
    network, digest = load_released(RELEASED, path=path, device=device)
    assert isinstance(network, PointNet2)
    note = (
        "The released pointnet (PointNet++ of double width, 40 categories of ModelNet40): the numbers can be set "
        f"beside published ones of as many clouds. {_APART}"
    )
    return Classifier(RELEASED, network, None, {}, note, digest)


def _pocket(path: Path, device: torch.device | str) -> Classifier:
    network, weights = read_network(path, PointNet2)
    classes, quality = weights.info.get("classes"), weights.info.get("quality")
    names = tuple(classes) if isinstance(classes, list) else ()
    if (
        len(names) != network.classes
        or not all(isinstance(name, str) for name in names)
        or not isinstance(quality, dict)
    ):
        raise WeightsError(
            f"{path}: expected the names of {network.classes} classes and measured quality, "
            f"found classes {classes!r}, quality {quality!r}"
        )
    note = (
        f"The embedded pocket-classifier (PointNet++, {network.classes} categories of procedural and catalogue "
        "objects), not the released network: the numbers can be compared only with others that it made, "
        f"never with published ones. {_APART}"
    )
    return Classifier(POCKET, network.to(device), names, quality, note, weights.sha256)
