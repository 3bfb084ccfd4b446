"""The networks of the embedded family on one device, and what their files were."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import torch

from enpointe.checkpoints.embedded import embedded_path, read_network, text_encoder
from enpointe.checkpoints.registry import ASSETS
from enpointe.checkpoints.weights import Weights, sha256
from enpointe.core.errors import InputError, WeightsError
from enpointe.encoders.minilm import TextEncoder
from enpointe.nn.point_transformer import PointTransformer
from enpointe.nn.sight import SightSDF
from enpointe.pipelines.families.pocket.things import things_of
from enpointe.pipelines.families.pocket.upsampling import CellShape
from enpointe.pipelines.families.pocket.vocabulary import Vocabulary


class Members:
    """Each network is read when it is first needed; WeightsError where its file is missing, damaged or another's.

    Attributes:
        hashes: SHA-256 of every file read so far, by member.
    """

    def __init__(self, device: torch.device, base: Path | None = None) -> None:
        """base: the base model's file, where it is not the embedded one."""
        self._device = device
        self._paths = {} if base is None else {"base": base}
        self.hashes: dict[str, str] = {}

    @cached_property
    def encoder(self) -> TextEncoder:
        """What turns a prompt into tokens."""
        encoder = text_encoder(self._device)
        self.hashes["text"] = sha256(ASSETS / "minilm.safetensors")
        return encoder

    @cached_property
    def base(self) -> tuple[PointTransformer, int]:
        """The network that draws whole clouds, and how many tokens it takes for a text."""
        network, weights = self._base
        return network.to(self._device), weights.info["text_tokens"]

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The things that the base model was trained on."""
        weights = self._base[1]
        try:
            things = things_of(weights.info)
        except (AttributeError, TypeError) as error:
            raise self._another_member("base", "a vocabulary of things", weights) from error
        return Vocabulary(self.encoder, things)

    @cached_property
    def _base(self) -> tuple[PointTransformer, Weights]:
        network, weights = read_network(self._path("base"), PointTransformer)
        n_tokens, nouns = weights.info.get("text_tokens"), weights.info.get("nouns")
        if "text" not in network.grid_embed or not isinstance(n_tokens, int) or n_tokens < 1 or not nouns:
            raise self._another_member("base", "grid text, text_tokens, nouns", weights)
        self.hashes["base"] = weights.sha256
        return network, weights

    @cached_property
    def up(self) -> tuple[PointTransformer, CellShape]:
        """The network that draws new points, and the cells that it was trained on."""
        network, weights = read_network(self._path("up"), PointTransformer)
        try:
            shape = CellShape(**weights.info["cell"])
        except (KeyError, TypeError, InputError) as error:
            raise self._another_member("up", "cell", weights) from error
        if network.cond_point_proj is None or weights.info["config"].get("input_channels") != 12:
            raise self._another_member("up", "low_res and 12 input channels", weights)
        self.hashes["up"] = weights.sha256
        return network.to(self._device), shape

    @cached_property
    def sdf(self) -> SightSDF:
        """The signed-distance network."""
        network, weights = read_network(self._path("sdf"), SightSDF)
        self.hashes["sdf"] = weights.sha256
        return network.to(self._device)

    def _path(self, member: str) -> Path:
        return self._paths.get(member) or embedded_path(member)

    def _another_member(self, member: str, what: str, weights: Weights) -> WeightsError:
        return WeightsError(
            f"{self._path(member)}: expected the {member} model, with {what}, found another model: {weights.info}"
        )
