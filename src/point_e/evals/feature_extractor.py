"""The release's classifier behind P-FID and P-IS; while it is as defined, `enpointe.evaluation` does its work."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from multiprocessing.pool import ThreadPool
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from enpointe.core.errors import InputError
from enpointe.evaluation.measures.features import START_PERIOD, embed
from enpointe.geometry.unit_ball import normalized as normalize_point_clouds
from point_e._originals import Originals
from point_e.models.download import load_checkpoint

from .fast import as_enpointe
from .npz_stream import NpzStreamer
from .pointnet2_cls_ssg import get_model

__all__ = [
    "FeatureExtractor",
    "PointNetClassifier",
    "get_model",
    "get_torch_devices",
    "load_checkpoint",
    "normalize_point_clouds",
]

Extractor = Callable[[NDArray[Any]], tuple[NDArray[Any], NDArray[Any]]]


def get_torch_devices() -> list[str | torch.device]:
    """Every CUDA device, else Apple's, else the CPU."""
    if torch.cuda.is_available():
        return [torch.device(f"cuda:{index}") for index in range(torch.cuda.device_count())]
    return [torch.device("mps")] if torch.backends.mps.is_available() else ["cpu"]


class FeatureExtractor(ABC):
    """Something that turns a stream of clouds into features and class probabilities."""

    @property
    @abstractmethod
    def supports_predictions(self) -> bool:
        """Whether the probabilities mean anything."""

    @property
    @abstractmethod
    def feature_dim(self) -> int:
        """Columns of the features."""

    @property
    @abstractmethod
    def num_classes(self) -> int:
        """Columns of the probabilities."""

    @abstractmethod
    def features_and_preds(self, streamer: NpzStreamer) -> tuple[NDArray[Any], NDArray[Any]]:
        """Features (n, feature_dim) and probabilities (n, num_classes) of the clouds in `arr_0`."""


class PointNetClassifier(FeatureExtractor):
    """The released PointNet++ on one or more devices.

    Args:
        devices: each gets a copy of the network and its share of the parts of a batch.
        device_batch_size: clouds of such a part. A cloud's farthest-point sampling starts at its place in its
            part, so features differ a little between sizes, as they do in the release.
        cache_dir: where the checkpoint lies or is downloaded to; None is the release's cache folder.
    """

    def __init__(
        self, devices: list[str | torch.device], device_batch_size: int = START_PERIOD, cache_dir: str | None = None
    ) -> None:
        state = load_checkpoint("pointnet", device=torch.device("cpu"), cache_dir=cache_dir)["model_state_dict"]
        self.device_batch_size = device_batch_size
        self.devices = devices
        self.models: list[get_model] = []
        for device in devices:
            model = get_model(num_class=40, normal_channel=False, width_mult=2)
            model.load_state_dict(state)
            self.models.append(model.to(device).eval())

    @property
    def supports_predictions(self) -> bool:
        return True

    @property
    def feature_dim(self) -> int:
        """512: what the features have. (The release says 256 here, and gives 512.)"""
        return 512

    @property
    def num_classes(self) -> int:
        return 40

    def features_and_preds(self, streamer: NpzStreamer) -> tuple[NDArray[Any], NDArray[Any]]:
        size = self.device_batch_size
        extract = [self._extractor(model) for model in self.models]
        parts: list[tuple[NDArray[Any], NDArray[Any]]] = []
        with ThreadPool(len(extract)) as pool:
            for batch in streamer.stream(size * len(extract), ["arr_0"]):
                clouds = batch["arr_0"]
                chunks = [clouds[first : first + size] for first in range(0, len(clouds), size)]
                parts += pool.starmap(_call, zip(extract, chunks, strict=False))
        if not parts:
            raise InputError("arr_0: expected at least one cloud, found none")
        features, predictions = zip(*parts, strict=True)
        return np.concatenate(features), np.concatenate(predictions)

    def _extractor(self, model: nn.Module) -> Extractor:
        """(n, points, 3) -> features (n, feature_dim) and probabilities (n, num_classes)."""
        network = as_enpointe(model) if ORIGINALS.are_in_place() else None

        def by_enpointe(clouds: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
            assert network is not None
            found = embed(network, clouds, np.arange(len(clouds), dtype=np.int64))
            return found.features, found.probabilities

        def by_model(clouds: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
            points = torch.from_numpy(normalize_point_clouds(clouds)).permute(0, 2, 1)
            device = next(model.parameters()).device
            with torch.no_grad():
                log_probs, _, features = model(points.to(dtype=torch.float32, device=device), features=True)
            return features.cpu().numpy(), log_probs.exp().cpu().numpy()

        return by_model if network is None else by_enpointe


def _call(extract: Extractor, clouds: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    return extract(clouds)


ORIGINALS = Originals(globals())
