"""Features of captions, each different caption encoded once while it is remembered."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor

from enpointe.checkpoints.embedded import text_encoder
from enpointe.encoders.minilm import WIDTH
from enpointe.training.precision import autocast

REMEMBERED = 8192
"""Captions; of 24 tokens they take 150 MB."""
ROWS = {"cpu": 16}
"""Captions that are encoded together, on other devices MANY."""
MANY = 256
LENGTH_STEP = 8
"""They are padded to a multiple of so many tokens. With the numbers of rows and tokens fixed, a caption's features do
not depend on which others are encoded with it: a resumed run, which has forgotten them all, finds the same bits."""


class TextFeatures:
    """The most recent captions' features, on a device.

    Args:
        n_tokens: of a caption, see `TextEncoder.condition`.
        dtype: to encode in; they are kept in float16.
    """

    def __init__(
        self, device: torch.device, n_tokens: int, dtype: torch.dtype = torch.float32, remembered: int = REMEMBERED
    ) -> None:
        self._device, self._n_tokens, self._dtype = device, n_tokens, dtype
        self._rows: OrderedDict[str, int] = OrderedDict()
        self._table = torch.zeros(remembered, n_tokens, WIDTH, dtype=torch.float16, device=device)

    def __call__(self, captions: Sequence[str]) -> Tensor:
        """(n, n_tokens, 384) float32; zeros for an empty caption."""
        different = set(captions)
        if len(different) > len(self._table):
            self._rows.clear()
            self._table = torch.zeros(len(different), *self._table.shape[1:], dtype=torch.float16, device=self._device)
        for caption in captions:
            if caption in self._rows:
                self._rows.move_to_end(caption)
        new = sorted(different - self._rows.keys())
        for caption in new:
            row = len(self._rows) if len(self._rows) < len(self._table) else self._rows.popitem(last=False)[1]
            self._rows[caption] = row
        for together, features in encoded(new, self._device, self._n_tokens, self._dtype):
            self._table[[self._rows[caption] for caption in together]] = features
        return self._table[[self._rows[caption] for caption in captions]].float()


def encoded(
    captions: Sequence[str], device: torch.device, n_tokens: int, dtype: torch.dtype
) -> list[tuple[list[str], Tensor]]:
    """Captions in groups of like length, each with their features (n, n_tokens, 384) float16."""
    encoder = text_encoder(device)
    rows = ROWS.get(device.type, MANY)
    by_length: dict[int, list[str]] = {}
    for caption in captions:
        length = -(-encoder.n_tokens(caption) // LENGTH_STEP) * LENGTH_STEP
        by_length.setdefault(length, []).append(caption)
    found = []
    for length, group in sorted(by_length.items()):
        for first in range(0, len(group), rows):
            part = group[first : first + rows]
            with autocast(device, dtype):
                features = encoder.condition([*part, *[""] * (rows - len(part))], n_tokens, length)
            found.append((part, features[: len(part)].transpose(1, 2).to(torch.float16).clone()))
    return found
