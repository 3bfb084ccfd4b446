"""Transformer blocks whose scales and shifts come from a condition: adaptive layer norm (Peebles and Xie 2023, DiT,
arXiv 2212.09748, section 3.2), with normed queries and keys (Dehghani et al. 2023, arXiv 2302.05442, section 2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from enpointe.nn.attention import attention, merge_heads

FIRST_GATE = 0.3
"""What a fresh block adds of each of its parts, where DiT begins with 0. The two have not been compared."""
_RATES = torch.linspace(0.25, 8, 32)


def norm(x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
    """Layer norm without weights."""
    return F.layer_norm(x, x.shape[-1:])


def flow_time_features(t: Float[Tensor, " n"]) -> Float[Tensor, "n 64"]:
    """Sines and cosines of a flow's time, 0 < t < 1, as the logarithm of the noise level t / (1 - t)."""
    angles = (torch.logit(t) / 4)[:, None] * _RATES.to(t)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class Attention(nn.Module):
    """Of queries to themselves, or to another set of the same width."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Float[Tensor, "n q width"], to: Float[Tensor, "n k width"]) -> Float[Tensor, "n q width"]:
        n, width = len(x), x.shape[-1]
        q = self.query(x).view(n, -1, self.heads, width // self.heads).transpose(1, 2)
        k, v = self.key_value(to).view(n, -1, 2, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        return self.out(merge_heads(attention(norm(q).to(v.dtype), norm(k).to(v.dtype), v)))


class ModulatedBlock(nn.Module):
    """Attention, attention to a context if there is one, and an MLP.

    Args:
        width, heads: of the tokens.
        condition: width of the condition that scales, shifts and gates.
        context: whether it also attends to a context.
        expansion: of the MLP.
        window: attention is within windows of so many neighboring tokens, 0 for all.
        shifted: windows are shifted by half of their length, in a ring (Liu et al. 2021, Swin, arXiv 2103.14030,
            section 3.2).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        condition: int,
        *,
        context: bool = False,
        expansion: int = 4,
        window: int = 0,
        shifted: bool = False,
    ) -> None:
        super().__init__()
        self.window, self.shift = window, window // 2 if shifted else 0
        self.attention = Attention(width, heads)
        self.context_attention = Attention(width, heads) if context else None
        self.context_norm = nn.LayerNorm(width) if context else None
        self.expand = nn.Linear(width, expansion * width)
        self.contract = nn.Linear(expansion * width, width)
        self.modulation = nn.Linear(condition, 6 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(
        self,
        x: Float[Tensor, "n l width"],
        condition: Float[Tensor, "n 1 c"],
        context: Float[Tensor, "n k width"] | None = None,
    ) -> Float[Tensor, "n l width"]:
        """Tokens (N, L, width) -> tokens; condition (N, 1, C), context (N, K, width) where the block has one."""
        scale, shift, gate, mlp_scale, mlp_shift, mlp_gate = self.modulation(condition).chunk(6, -1)
        x = x + (FIRST_GATE + gate) * self._attend(norm(x) * (1 + scale) + shift)
        if self.context_attention is not None and self.context_norm is not None:
            assert context is not None
            x = x + FIRST_GATE * self.context_attention(norm(x), self.context_norm(context))
        hidden = F.gelu(self.expand(norm(x) * (1 + mlp_scale) + mlp_shift), approximate="tanh")
        return x + (FIRST_GATE + mlp_gate) * self.contract(hidden)

    def hidden_matrices(self) -> list[nn.Parameter]:
        """See `nn.hidden`; the modulation is none: it begins with zeros and stays small."""
        return [
            parameter
            for name, parameter in self.named_parameters()
            if parameter.ndim == 2 and not name.startswith("modulation")
        ]

    def _attend(self, x: Tensor) -> Tensor:
        if not self.window:
            return self.attention(x, x)
        windows = x.roll(self.shift, 1).reshape(-1, self.window, x.shape[-1])
        return self.attention(windows, windows).reshape(x.shape).roll(-self.shift, 1)
