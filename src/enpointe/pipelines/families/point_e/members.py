"""The networks of a released model on one device, and what their files were."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from enpointe.checkpoints.loading import load_released
from enpointe.core.progress import Progress, ProgressCallback, no_progress
from enpointe.encoders.clip import Clip, clip
from enpointe.nn.point_transformer import PointTransformer
from enpointe.nn.sdf import SDFTransformer


class LoadReleased(Protocol):
    """(name, file, type of the weights, device, a callback for downloads) -> the network, its file's SHA-256."""

    def __call__(
        self, name: str, *, path: Path | None, dtype: torch.dtype, device: torch.device, report: ProgressCallback
    ) -> tuple[nn.Module, str]: ...


class ReleasedMembers:
    """Each network is read, and downloaded where need be, when it is first needed.

    Args:
        name: of the base model.
        dtype: of the point networks' weights.
        path: the base model's file, where it is not the one of its name.
        load, load_clip: where networks come from.

    Attributes:
        hashes: SHA-256 of every file read so far, by member: "base", "upsample", "sdf".
        report: receives the progress of downloads.
    """

    def __init__(
        self,
        name: str,
        device: torch.device,
        *,
        dtype: torch.dtype,
        path: Path | None = None,
        load: LoadReleased = load_released,
        load_clip: Callable[[torch.device], Clip] = clip,
    ) -> None:
        self._name = name
        self._device = device
        self._dtype = dtype
        self._path = path
        self._load = load
        self._load_clip = load_clip
        self.hashes: dict[str, str] = {}
        self.report: ProgressCallback = no_progress

    @cached_property
    def clip(self) -> Clip:
        """What turns texts and images into conditions."""
        return self._load_clip(self._device)

    @cached_property
    def base(self) -> PointTransformer:
        """The network that draws 1,024 points."""
        return self._point_transformer("base", self._name, self._path)

    @cached_property
    def up(self) -> PointTransformer:
        """The network that draws 3,072 points around them."""
        return self._point_transformer("upsample", "upsample", None)

    @cached_property
    def sdf(self) -> SDFTransformer:
        """The signed-distance network; small, and always in float32."""
        network = self._read("sdf", "sdf", None, torch.float32)
        assert isinstance(network, SDFTransformer)
        return network

    def _point_transformer(self, member: str, name: str, path: Path | None) -> PointTransformer:
        network = self._read(member, name, path, self._dtype)
        assert isinstance(network, PointTransformer)
        return network

    def _read(self, member: str, name: str, path: Path | None, dtype: torch.dtype) -> nn.Module:
        def report(progress: Progress) -> None:
            self.report(replace(progress, stage="download"))

        network, digest = self._load(name, path=path, dtype=dtype, device=self._device, report=report)
        self.hashes[member] = digest
        return network
