"""The networks of the embedded family on one device, and what their files were."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch

from enpointe.checkpoints.embedded import embedded_path, read_network, text_encoder
from enpointe.checkpoints.registry import ASSETS
from enpointe.checkpoints.weights import Weights, read_info, sha256
from enpointe.core.errors import InputError, WeightsError
from enpointe.encoders.minilm import TextEncoder
from enpointe.nn.detail import Detail
from enpointe.nn.layout import Layout
from enpointe.nn.point_transformer import PointTransformer
from enpointe.nn.sight import SightSDF
from enpointe.pipelines.families.pocket.base_stage import Drawing, pair, single
from enpointe.pipelines.families.pocket.things import things_of
from enpointe.pipelines.families.pocket.upsampling import CellShape
from enpointe.pipelines.families.pocket.vocabulary import Vocabulary

N = TypeVar("N", bound=torch.nn.Module)

REPLACEABLE: dict[str, type[torch.nn.Module]] = {"base": PointTransformer, "layout": Layout, "detail": Detail}
"""The members that other weights may take the place of."""


class Members:
    """Each network is read when it is first needed; WeightsError where its file is missing, damaged or another's.

    Attributes:
        hashes: SHA-256 of every file read so far, by member.
    """

    def __init__(self, device: torch.device, weights: Path | None = None) -> None:
        """weights: a file of a base, layout or detail network, which then draws whatever is asked for."""
        self._device = device
        self._weights = weights
        self.hashes: dict[str, str] = {}

    @cached_property
    def encoder(self) -> TextEncoder:
        """What turns a prompt into tokens."""
        encoder = text_encoder(self._device)
        self.hashes["text"] = sha256(ASSETS / "minilm.safetensors")
        return encoder

    def is_for_base(self, prompt: str) -> bool:
        """Whether the base network draws it: it knows few things, but these better than the others do."""
        if self._weights is not None:
            return self._replaced == "base"
        named = self._layout_vocabulary.named(prompt)  # first: a palm tree is none of the trees that the base knows
        if named is None:
            return self._base_vocabulary.names_a_thing(prompt)
        return named.name in {thing.name for thing in self._base_vocabulary.things}

    def drawing(self, prompt: str) -> Drawing:
        """What draws a prompt's cloud."""
        return self._single if self.is_for_base(prompt) else self._pair

    def vocabulary(self, prompt: str) -> Vocabulary:
        """The things that the network which draws this prompt was trained on."""
        return self._base_vocabulary if self.is_for_base(prompt) else self._layout_vocabulary

    @cached_property
    def _single(self) -> Drawing:
        network, weights = self._base
        self.hashes["base"] = weights.sha256
        return single(network.to(self._device), weights.info["text_tokens"])

    @cached_property
    def _pair(self) -> Drawing:
        layout, weights = self._layout
        detail, other = read_network(self._path("detail"), Detail)
        self.hashes |= {"layout": weights.sha256, "detail": other.sha256}
        return pair(layout.to(self._device), detail.to(self._device), weights.info["text_tokens"])

    @cached_property
    def _base(self) -> tuple[PointTransformer, Weights]:
        network, weights = self._knowing("base", PointTransformer)
        if "text" not in network.grid_embed:
            raise self._another_member("base", "grid text", weights.info)
        return network, weights

    @cached_property
    def _layout(self) -> tuple[Layout, Weights]:
        return self._knowing("layout", Layout)

    @cached_property
    def _base_vocabulary(self) -> Vocabulary:
        return self._vocabulary("base")

    @cached_property
    def _layout_vocabulary(self) -> Vocabulary:
        return self._vocabulary("layout")

    def _knowing(self, member: str, cls: type[N]) -> tuple[N, Weights]:
        """A network whose header says what it knows."""
        network, weights = read_network(self._path(member), cls)
        n_tokens, nouns = weights.info.get("text_tokens"), weights.info.get("nouns")
        if not isinstance(n_tokens, int) or n_tokens < 1 or not nouns:
            raise self._another_member(member, "text_tokens, nouns", weights.info)
        return network, weights

    def _vocabulary(self, member: str) -> Vocabulary:
        """Of the file's header alone: which network draws a prompt is known before either is read."""
        info = read_info(self._path(member))
        try:
            things = things_of(info)
        except (AttributeError, KeyError, TypeError) as error:
            raise self._another_member(member, "a vocabulary of things", info) from error
        return Vocabulary(self.encoder, things)

    @cached_property
    def up(self) -> tuple[PointTransformer, CellShape]:
        """The network that draws new points, and the cells that it was trained on."""
        network, weights = read_network(self._path("up"), PointTransformer)
        try:
            shape = CellShape(**weights.info["cell"])
        except (KeyError, TypeError, InputError) as error:
            raise self._another_member("up", "cell", weights.info) from error
        if network.cond_point_proj is None or weights.info["config"].get("input_channels") != 12:
            raise self._another_member("up", "low_res and 12 input channels", weights.info)
        self.hashes["up"] = weights.sha256
        return network.to(self._device), shape

    @cached_property
    def sdf(self) -> SightSDF:
        """The signed-distance network."""
        network, weights = read_network(self._path("sdf"), SightSDF)
        self.hashes["sdf"] = weights.sha256
        return network.to(self._device)

    def _path(self, member: str) -> Path:
        return self._weights if self._weights is not None and member == self._replaced else embedded_path(member)

    @cached_property
    def _replaced(self) -> str:
        """Which member the given weights are of, by the class of their network."""
        assert self._weights is not None
        network, weights = read_network(self._weights, torch.nn.Module)
        for member, cls in REPLACEABLE.items():
            if isinstance(network, cls):
                return member
        kind = weights.info["kind"]
        raise WeightsError(f"{self._weights}: expected weights of {' or '.join(REPLACEABLE)}, found those of {kind}")

    def _another_member(self, member: str, what: str, info: Mapping[str, Any]) -> WeightsError:
        return WeightsError(
            f"{self._path(member)}: expected the {member} model, with {what}, found another model: {info}"
        )
