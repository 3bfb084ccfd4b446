"""Pre-norm transformer blocks of Point-E (arXiv 2212.08751, section 4.1 and appendix A).

Module names follow the released checkpoints, so that their weights need next to no renaming.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Shaped
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from enpointe.nn.attention import attention, merge_heads, split_heads

KeysValues = tuple[Tensor, Tensor]
"""Each (N, heads, K, head_width)."""


class MLP(nn.Module):
    """Two linear layers with a GELU between, four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """(..., width) -> (..., width)."""
        return self.c_proj(F.gelu(self.c_fc(x)))


class SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_qkv = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)

    def forward(
        self, x: Float[Tensor, "n l width"], log_weights: Float[Tensor, "n l"] | None = None, first: int = 0
    ) -> Float[Tensor, "n rest width"]:
        """(N, L, width) -> (N, L - first, width), for the tokens from `first` on; log_weights as in `attention`."""
        q, k, v = split_heads(self.c_qkv(x), self.heads, 3)
        return self.c_proj(merge_heads(attention(q[:, :, first:], k, v, log_weights=log_weights)))


class CrossAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_q = nn.Linear(width, width)
        self.c_kv = nn.Linear(width, 2 * width)
        self.c_proj = nn.Linear(width, width)

    def keys_values(self, data: Float[Tensor, "n k width"]) -> KeysValues:
        """Of data (N, K, width), for any number of queries."""
        k, v = split_heads(self.c_kv(data), self.heads, 2)
        return k, v

    def forward(self, x: Float[Tensor, "n q width"], keys_values: KeysValues) -> Float[Tensor, "n q width"]:
        """Queries (N, Q, width) -> (N, Q, width)."""
        (q,) = split_heads(self.c_q(x), self.heads, 1)
        return self.c_proj(merge_heads(attention(q, *keys_values)))


class SelfAttentionBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = SelfAttention(width, heads)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = MLP(width)
        self.ln_2 = nn.LayerNorm(width)

    def forward(
        self, x: Float[Tensor, "n l width"], log_weights: Float[Tensor, "n l"] | None = None, first: int = 0
    ) -> Float[Tensor, "n rest width"]:
        x = x[:, first:] + self.attn(self.ln_1(x), log_weights, first)
        return x + self.mlp(self.ln_2(x))


class CrossAttentionBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = CrossAttention(width, heads)
        self.ln_1 = nn.LayerNorm(width)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = MLP(width)
        self.ln_3 = nn.LayerNorm(width)

    def keys_values(self, data: Float[Tensor, "n k width"]) -> KeysValues:
        """Of data (N, K, width), for any number of queries."""
        return self.attn.keys_values(self.ln_2(data))

    def forward(self, x: Float[Tensor, "n q width"], keys_values: KeysValues) -> Float[Tensor, "n q width"]:
        x = x + self.attn(self.ln_1(x), keys_values)
        return x + self.mlp(self.ln_3(x))


class Transformer(nn.Module):
    """A stack of self-attention blocks over a set of tokens, without positions.

    Attributes:
        recompute: whether a backward pass computes what lies within the blocks again, a third more work, instead of
            keeping it: of each block only what goes in takes memory.
    """

    def __init__(self, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.recompute = False
        self.resblocks = nn.ModuleList(SelfAttentionBlock(width, heads) for _ in range(layers))

    def hidden_matrices(self) -> list[nn.Parameter]:
        """The blocks' matrices, see `nn.hidden`."""
        return [parameter for parameter in self.resblocks.parameters() if parameter.ndim == 2]

    def forward(
        self, x: Float[Tensor, "n l width"], log_weights: Float[Tensor, "n l"] | None = None, first: int = 0
    ) -> Float[Tensor, "n rest width"]:
        """(N, L, width) -> (N, L - first, width); log_weights (N, L) as in `attention`.

        first: tokens before it are not needed; the last block only looks at them.
        """
        *blocks, last = self.resblocks
        for block in blocks:
            if self.recompute and torch.is_grad_enabled():
                x = checkpoint(block, x, log_weights, use_reentrant=False)
            else:
                x = block(x, log_weights)
        return last(x, log_weights, first)


class Perceiver(nn.Module):
    """A stack of cross-attention blocks: queries look at data, never at each other."""

    def __init__(self, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(CrossAttentionBlock(width, heads) for _ in range(layers))

    def hidden_matrices(self) -> list[nn.Parameter]:
        """The blocks' matrices, see `nn.hidden`."""
        return [parameter for parameter in self.resblocks.parameters() if parameter.ndim == 2]

    def prepare(self, data: Float[Tensor, "n k width"]) -> list[KeysValues]:
        """What every block makes of data (N, K, width): the same for all queries."""
        return [block.keys_values(data) for block in self.resblocks if isinstance(block, CrossAttentionBlock)]

    def forward(
        self, x: Float[Tensor, "n q width"], data: Float[Tensor, "n k width"] | Sequence[KeysValues]
    ) -> Float[Tensor, "n q width"]:
        """Queries (N, Q, width) -> (N, Q, width); data (N, K, width), or what `prepare` made of it."""
        prepared = self.prepare(data) if isinstance(data, Tensor) else data
        for block, keys_values in zip(self.resblocks, prepared, strict=True):
            x = block(x, keys_values)
        return x


def init_weights(network: nn.Module, width: int, scale: float = 0.25) -> None:
    """Normal weights of standard deviation scale / sqrt(width) and zero biases, in every linear layer."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=scale / math.sqrt(width))
            nn.init.zeros_(module.bias)


def time_features(t: Shaped[Tensor, " n"], width: int, max_period: float = 10_000.0) -> Float32[Tensor, "n width"]:
    """Sinusoidal features (N, width) of times (N,), cosines first, in float32 (DDPM, appendix B)."""
    half = width // 2
    frequencies = torch.exp(-math.log(max_period) * torch.arange(half, device=t.device, dtype=torch.float32) / half)
    angles = t.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def position_features(points: Float[Tensor, "*batch xyz"], bands: int) -> Float32[Tensor, "*batch features"]:
    """Sines and cosines of positions at doubling frequencies.

    points (..., 3), with data in about [-1, 1] -> (..., 6 * bands); band k has wavelength 4 / 2^k.
    """
    angles = points.float()[..., None] * (torch.pi / 2 * 2.0 ** torch.arange(bands, device=points.device))
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(-2)
