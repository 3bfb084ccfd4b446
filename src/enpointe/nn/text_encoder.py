"""A BERT encoder (arXiv 1810.04805, section 3), as small as sentence embeddings need it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from enpointe.nn.attention import attention, merge_heads
from enpointe.nn.network import NetworkConfig, network


class BertLayer(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.attention_out = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width, eps=1e-12)
        self.hidden = nn.Linear(width, hidden)
        self.output = nn.Linear(hidden, width)
        self.output_norm = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: Float[Tensor, "n l width"], mask: Bool[Tensor, "n l"]) -> Float[Tensor, "n l width"]:
        n, length, width = x.shape
        q, k, v = (
            layer(x).view(n, length, self.heads, width // self.heads).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        x = self.attention_norm(x + self.attention_out(merge_heads(attention(q, k, v, mask[:, None, None]))))
        return self.output_norm(x + self.output(F.gelu(self.hidden(x))))


@network
@dataclass(frozen=True)
class BertConfig(NetworkConfig):
    """Arguments of `BertEncoder`; the defaults are all-MiniLM-L6-v2's."""

    kind: ClassVar[str] = "bert_encoder"
    vocabulary: int = 30522
    width: int = 384
    layers: int = 6
    heads: int = 12
    hidden: int = 1536
    positions: int = 512

    def build(self) -> BertEncoder:
        return BertEncoder(**vars(self))


class BertEncoder(nn.Module):
    """Token ids to token states, post-norm, with learned positions.

    Args:
        vocabulary, width, layers, heads, hidden, positions: sizes; the defaults are all-MiniLM-L6-v2's.
    """

    def __init__(
        self,
        vocabulary: int = 30522,
        width: int = 384,
        layers: int = 6,
        heads: int = 12,
        hidden: int = 1536,
        positions: int = 512,
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(positions, width)
        self.segment = nn.Parameter(torch.zeros(width))
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.layers = nn.ModuleList(BertLayer(width, heads, hidden) for _ in range(layers))

    def forward(self, tokens: Int[Tensor, "n l"], mask: Bool[Tensor, "n l"]) -> Float[Tensor, "n l width"]:
        """Token ids (N, L) and a boolean mask (N, L), True where a token is -> states (N, L, width)."""
        x = self.norm(self.words(tokens) + self.positions.weight[: tokens.shape[1]] + self.segment)
        for layer in self.layers:
            x = layer(x, mask)
        return x
