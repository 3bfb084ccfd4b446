"""Text as the embedded models see it: all-MiniLM-L6-v2's pooled sentence vector and token states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from enpointe.nn.text_encoder import BertEncoder

WIDTH = 384
MAX_TOKENS = 128
"""Longer prompts are cut here; the encoder was trained on sentences of at most this length."""


@dataclass(frozen=True)
class TextEncoder:
    """A frozen text encoder.

    Attributes:
        network: the BERT encoder.
        tokenizer: word pieces, lower case.
    """

    network: BertEncoder
    tokenizer: Tokenizer

    @torch.inference_mode()
    def encode(self, texts: Sequence[str], length: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Encode texts; an empty text is a valid one.

        Args:
            length: tokens to pad to, or to cut at, MAX_TOKENS at most; None: the longest text's.

        Returns:
            pooled (N, 384): the mean of the token states, of unit length.
            states (N, L, 384): last-layer states, zero where there is no token.
            mask (N, L): True where a token is.
        """
        encodings = [self.tokenizer.encode(text) for text in texts]
        length = min(length or max(len(e.ids) for e in encodings), MAX_TOKENS)
        device = self.network.segment.device
        ids = torch.zeros(len(texts), length, dtype=torch.long)
        mask = torch.zeros(len(texts), length, dtype=torch.bool)
        for row, encoding in enumerate(encodings):
            cut = encoding.ids if len(encoding.ids) <= length else [*encoding.ids[: length - 1], encoding.ids[-1]]
            ids[row, : len(cut)] = torch.tensor(cut)
            mask[row, : len(cut)] = True
        ids, mask = ids.to(device), mask.to(device)
        states = self.network(ids, mask) * mask[..., None]
        pooled = F.normalize(states.sum(1) / mask.sum(1, keepdim=True), dim=-1)
        return pooled, states, mask

    def n_tokens(self, text: str) -> int:
        """Word pieces of a text, with the two that mark its ends, before any cut."""
        return len(self.tokenizer.encode(text).ids)

    def condition(self, texts: Sequence[str], n_tokens: int, length: int | None = None) -> Tensor:
        """The token condition of the embedded models: (N, 384, n_tokens); `length` is that of `encode`.

        First the pooled vector, then the states without the start mark, cut or padded with zeros to
        `n_tokens` in all. An empty text gives zeros only: it is the unconditional input.
        """
        pooled, states, _ = self.encode(texts, length)
        states = states[:, 1:n_tokens]
        padding = n_tokens - 1 - states.shape[1]
        tokens = torch.cat([pooled[:, None], F.pad(states, (0, 0, 0, padding))], dim=1)
        given = torch.tensor([bool(text.strip()) for text in texts], device=tokens.device)
        return (tokens * given[:, None, None]).transpose(1, 2)
