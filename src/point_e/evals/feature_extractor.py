"""The release's names for `enpointe.evaluation.measures.features`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import cycle
from multiprocessing.pool import ThreadPool
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from enpointe.checkpoints.weights import Weights, load_into
from enpointe.core.errors import InputError
from enpointe.evaluation.measures.features import START_PERIOD, CloudFeatures, embed
from enpointe.geometry.unit_ball import normalized as normalize_point_clouds
from enpointe.nn.pointnet2 import PointNet2
from point_e.evals.npz_stream import NpzStreamer

__all__ = ["FeatureExtractor", "PointNetClassifier", "get_torch_devices", "normalize_point_clouds"]


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
        from point_e.models.download import load_checkpoint  # what reads and downloads checkpoints is needed here only

        checkpoint: Any = load_checkpoint("pointnet", device=torch.device("cpu"), cache_dir=cache_dir)
        state = checkpoint.get("model_state_dict", checkpoint)  # the published file holds more than the weights
        self.device_batch_size = device_batch_size
        self.devices = devices
        self.models: list[PointNet2] = []
        for device in devices:
            network = PointNet2()
            load_into(network, Weights(state, {}, ""), "pointnet")
            self.models.append(network.to(device))

    @property
    def supports_predictions(self) -> bool:
        return True

    @property
    def feature_dim(self) -> int:
        """512: what the features have. (The release says 256 here, and gives 512.)"""
        return self.models[0].feature_dim

    @property
    def num_classes(self) -> int:
        return self.models[0].classes

    def features_and_preds(self, streamer: NpzStreamer) -> tuple[NDArray[Any], NDArray[Any]]:
        size = self.device_batch_size
        parts: list[CloudFeatures] = []
        with ThreadPool(len(self.models)) as pool:
            for batch in streamer.stream(size * len(self.models), ["arr_0"]):
                clouds = batch["arr_0"]
                chunks = [clouds[first : first + size] for first in range(0, len(clouds), size)]
                parts += pool.starmap(_embed_part, zip(cycle(self.models), chunks, strict=False))
        if not parts:
            raise InputError("arr_0: expected at least one cloud, found none")
        return np.concatenate([part.features for part in parts]), np.concatenate([part.probabilities for part in parts])


def _embed_part(network: PointNet2, clouds: NDArray[Any]) -> CloudFeatures:
    return embed(network, clouds, np.arange(len(clouds), dtype=np.int64))
