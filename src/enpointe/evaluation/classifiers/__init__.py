"""The networks behind P-FID, P-IS and the classifier's accuracy, one file each. Naming them needs no PyTorch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enpointe.core.errors import InputError
from enpointe.core.registry import Registry
from enpointe.evaluation.choice import AUTO, Choice, chosen

if TYPE_CHECKING:
    import torch

    from enpointe.nn.pointnet2 import PointNet2

APART = "P-FID and P-IS by one classifier cannot be compared with those by another."


@dataclass(frozen=True)
class Classifier:
    """A network that classifies clouds, and what a report states about it.

    Attributes:
        name: of its weights: "pointnet" or "pocket-classifier".
        network: in evaluation mode, without gradients.
        classes: of the probabilities, in their order; None where the weights do not name them.
        quality: measured on objects that it did not learn from; empty where nothing is known.
        note: which network it is, what it learned from, and what its numbers can be compared with.
        sha256: of the file that the weights came from.
    """

    name: str
    network: PointNet2
    classes: tuple[str, ...] | None
    quality: Mapping[str, Any]
    note: str
    sha256: str

    def about(self) -> dict[str, Any]:
        """What a report states about it."""
        return {
            "name": self.name, "note": self.note, "quality": dict(self.quality), "sha256": self.sha256,
            "features": self.network.feature_dim,
        }  # fmt: skip


class ClassifierChoice(Choice):
    """A classifier that can be loaded."""

    @abstractmethod
    def load(self, path: Path | None, device: torch.device | str) -> Classifier:
        """Loads it, from another file where one is given.

        Raises:
            WeightsError: the weights cannot be had, or are not those of such a network.
        """


CLASSIFIERS: Registry[ClassifierChoice] = Registry("classifier", __name__, by_module=True)


def load_classifier(choice: str = AUTO, *, path: Path | None = None, device: torch.device | str = "cpu") -> Classifier:
    """The classifier that scores are made with.

    Args:
        choice: one of CLASSIFIERS; "released" is downloaded if it is not in the user's cache. "auto" is the best that
            is at hand, so that it never downloads anything.
        path: another file of the weights of a classifier that is named.

    Raises:
        InputError: another choice, or a path with "auto".
        WeightsError: the weights cannot be had, or are not those of such a network.
    """
    if path is not None and choice == AUTO:
        raise InputError(f"classifier: expected one of {', '.join(CLASSIFIERS)} beside a file of weights, found auto")
    return chosen(CLASSIFIERS, choice).load(path, device)
