"""The release's own classifier, `pointnet`."""

from __future__ import annotations

from pathlib import Path

import torch

from enpointe.checkpoints.hub.cache import weights_path
from enpointe.checkpoints.loading import load_released
from enpointe.evaluation.classifiers import APART, CLASSIFIERS, Classifier, ClassifierChoice
from enpointe.nn.pointnet2 import PointNet2

NAME = "pointnet"


class Released(ClassifierChoice):
    """In the user's cache, or downloaded; its numbers are comparable with published ones."""

    preference = 2

    def is_at_hand(self) -> bool:
        return weights_path(NAME).is_file()

    def load(self, path: Path | None, device: torch.device | str) -> Classifier:
        network, digest = load_released(NAME, path=path, device=device)
        assert isinstance(network, PointNet2)
        note = (
            "The released pointnet (PointNet++ of double width, 40 categories of ModelNet40): the numbers can be set "
            f"beside published ones of as many clouds. {APART}"
        )
        return Classifier(NAME, network, None, {}, note, digest)


CLASSIFIERS.register("released")(Released())
