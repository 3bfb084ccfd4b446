"""The task of the joint model: texts and pictures of the same thing lie close together, of other things apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from enpointe.core.errors import InputError
from enpointe.data.pools.pool import Pool
from enpointe.data.procedural.families import FAMILIES
from enpointe.nn.joint import JointConfig
from enpointe.training.task import Batch, Losses
from enpointe.training.tasks.base import PROMPTS
from enpointe.training.tasks.joint_images import CAPTIONS, VIEWS, Looks, says

HELD_OUT = 0.1
"""Of the pool's objects."""
NOISE = 0.5
"""Of what a picture's features spread, added while training: a slightly smaller picture changes them as much."""
PROMPTS_HELD_OUT = frozenset((
    *PROMPTS, "a red sailboat", "a green armchair", "a yellow mug", "a grey castle",
))  # fmt: skip
"""No caption for training is one of these: those of `base`'s pictures and of the gallery."""


class JointTask:
    """Symmetric InfoNCE over a batch of pictures and one caption of each.

    A text that is also true of another picture of the batch, as far as noun and main colour tell, is no
    counterexample to it: that pair is left out.

    Args:
        pool: that the looks were made of.
        looks: see `looks.make_looks`.
        config: the sizes of the features are those of the looks.

    Raises:
        InputError: the looks are not of this pool, or too few.
    """

    name = "pocket-joint"

    def __init__(self, pool: Pool, looks: Looks, config: JointConfig, *, seed: int = 0) -> None:
        if looks.index.max() >= len(pool):
            raise InputError(f"looks: expected those of a pool of {len(pool)} objects, found another's")
        found = (looks.texts.shape[-1], looks.pictures.shape[-1])
        if found != (config.texts, config.pictures):
            raise InputError(f"looks: expected features of {(config.texts, config.pictures)}, found {found}")
        held_out = np.isin(looks.index, pool.split(HELD_OUT)[1])
        self._training, self._held_out = np.flatnonzero(~held_out), np.flatnonzero(held_out)
        if not len(self._training) or not len(self._held_out):
            raise InputError(f"looks: expected more than {len(looks.index)} objects, some of them held out")
        torch.manual_seed(seed)
        heads = config.build()
        self.network: nn.Module = heads
        self.network_info: dict[str, Any] = config.described()
        self._looks = looks
        groups = sorted({pool.family[i] for i in looks.index})
        self._group = np.array([groups.index(pool.family[i]) for i in looks.index])
        self._related = related([_nouns(pool, name) for name in groups])
        colours = sorted(set(looks.colour))
        self._colour = np.array([colours.index(name) if name else -1 for name in looks.colour])
        rows = list(zip(looks.captions, looks.colour, strict=True))
        # Of texts that name no colour, and of models in their own, it is not known; -1 agrees with any.
        self._said = np.array([[says(text, name) if name else False for text in texts] for texts, name in rows])
        self._allowed = [np.flatnonzero([text not in PROMPTS_HELD_OUT for text in texts]) for texts, _ in rows]
        self._training = np.array([i for i in self._training if len(self._allowed[i])], dtype=np.int64)
        learnt = self._training
        heads.pictures.standardize(torch.from_numpy(looks.pictures[learnt]).float().flatten(0, 1))
        self._spread = heads.pictures.spread.clone()
        heads.texts.standardize(torch.from_numpy(looks.texts[learnt]).float().flatten(0, 1))

    def batch(self, rng: np.random.Generator, n: int, n_points: int, *, training: bool) -> Batch:
        """Features of pictures (n, f) and texts (n, 384), and which text is also true of which picture (n, n).

        `n_points` has no meaning here.
        """
        rows = rng.choice(self._training if training else self._held_out, n)
        view = rng.integers(VIEWS, size=n)
        if training:
            which = np.array([rng.choice(self._allowed[row]) for row in rows])
        else:
            which = rng.integers(CAPTIONS, size=n)
        group, colour = self._group[rows], self._colour[rows]
        said = np.where(self._said[rows, which], colour, -1)
        agree = (said[None] == colour[:, None]) | (said[None] < 0) | (colour[:, None] < 0)
        also = self._related[group[:, None], group[None]] & agree
        np.fill_diagonal(also, False)
        pictures = torch.from_numpy(self._looks.pictures[rows, view]).float()
        if training:
            noise = torch.from_numpy(rng.standard_normal(pictures.shape, dtype=np.float32))
            pictures += NOISE * self._spread * noise
        return {
            "pictures": pictures,
            "texts": torch.from_numpy(self._looks.texts[rows, which]).float(),
            "also": torch.from_numpy(also),
        }

    def prepare(self, batch: Batch) -> Batch:
        """Nothing is left to do."""
        return batch

    def losses(self, network: nn.Module, batch: Batch) -> Losses:
        """Mean of both cross entropies; the level is the share of texts that a picture is nearer to than its own."""
        texts, pictures, scale = network(batch["texts"], batch["pictures"])
        with torch.autocast(texts.device.type, enabled=False):
            logits = (pictures.float() @ texts.float().T * scale).masked_fill(batch["also"], -torch.inf)
            own = torch.arange(len(logits), device=logits.device)
            value = F.cross_entropy(logits, own, reduction="none") + F.cross_entropy(logits.T, own, reduction="none")
            better = (logits > logits.diagonal()[:, None]).float().mean(1)
        return Losses(value / 2, better.detach())

    def picture(self, network: nn.Module) -> NDArray[np.uint8]:
        """Cosines of 64 held-out pictures (rows) and their texts (columns), black -1 to white 1."""
        device = next(network.parameters()).device
        batch = self.batch(np.random.default_rng(0), 64, 0, training=False)
        texts, pictures, _ = network(batch["texts"].to(device), batch["pictures"].to(device))
        cosines: Tensor = (pictures.float() @ texts.float().T).detach().cpu()
        grey = ((cosines.numpy() + 1) * 127.5).clip(0, 255).astype(np.uint8)
        return np.repeat(np.kron(grey, np.ones((8, 8), np.uint8))[..., None], 3, axis=2)


def related(nouns: Sequence[Sequence[str]]) -> NDArray[np.bool_]:
    """(n, n): whether a text about one group could be about the other: a noun of one is, or ends like, the other's."""
    ends = [{end for noun in group for end in _ends(noun)} for group in nouns]
    whole = [set(group) for group in nouns]
    both = list(zip(whole, ends, strict=True))
    return np.array([[bool(a & its_ends or b & my_ends) for b, its_ends in both] for a, my_ends in both])


def _ends(noun: str) -> list[str]:
    """ "red sports car" -> itself, "sports car", "car"; "bowl of stew" -> itself, "of stew", "stew", "bowl"."""
    found = []
    for whole in {noun, re.split(r" (?:of|with|under|on|in) ", noun)[0]}:
        words = whole.split()
        found += [" ".join(words[i:]) for i in range(len(words))]
    return found


def _nouns(pool: Pool, group: str) -> Sequence[str]:
    if group in FAMILIES:
        return FAMILIES[group].names
    return pool.models[int(group.partition("/")[2])].nouns
