"""The classifier that comes with the package."""

from __future__ import annotations

from pathlib import Path

import torch

from enpointe.checkpoints.embedded import embedded_path, read_network
from enpointe.core.errors import WeightsError
from enpointe.evaluation.classifiers import APART, CLASSIFIERS, Classifier, ClassifierChoice
from enpointe.nn.pointnet2 import PointNet2

NAME = "pocket-classifier"


class Pocket(ClassifierChoice):
    """Always at hand, with classes that have names."""

    preference = 1

    def is_at_hand(self) -> bool:
        return True

    def load(self, path: Path | None, device: torch.device | str) -> Classifier:
        path = path or embedded_path("classifier")
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
            f"never with published ones. {APART}"
        )
        return Classifier(NAME, network.to(device), names, quality, note, weights.sha256)


CLASSIFIERS.register("pocket")(Pocket())
