"""What the embedded family knows, and how far a prompt is from it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from enpointe.conditioning.minilm import MAX_TOKENS, TextEncoder
from enpointe.models.weights import ASSETS

FAR = 0.62
"""Cosine below which a prompt that holds no known noun is far from all of them: "a puppy" would be
near, "a van" (0.58) and "a dragon" (0.54) are far."""


@dataclass(frozen=True)
class Vocabulary:
    """The nouns that a model was trained on, and their pooled text vectors (n, width), of unit length."""

    encoder: TextEncoder
    nouns: tuple[str, ...]
    vectors: Tensor

    @classmethod
    @lru_cache(maxsize=2)
    def embedded(cls, encoder: TextEncoder) -> Vocabulary:
        """That of the `pocket` family, from its card."""
        nouns = tuple(json.loads((ASSETS / "pocket-nouns.json").read_text(encoding="utf-8")))
        pooled, _, _ = encoder.encode([f"a {noun}" for noun in nouns])
        return cls(encoder, nouns, pooled)

    def nearest(self, prompt: str, n: int = 3) -> list[tuple[str, float]]:
        """The n nearest nouns and their cosines, nearest first."""
        pooled, _, _ = self.encoder.encode([prompt])
        cosines = (self.vectors @ pooled[0]).cpu()
        best = torch.topk(cosines, n)
        return [(self.nouns[i], float(c)) for c, i in zip(best.values, best.indices.tolist(), strict=True)]

    def warnings(self, prompt: str) -> list[str]:
        """One line if the prompt is far from all that the model knows, and one if it is cut; else none."""
        lines = []
        spoken = f" {' '.join(re.findall(r'[a-z]+', prompt.lower()))} "
        known = any(f" {noun} " in spoken or f" {noun}s " in spoken for noun in self.nouns)
        nearest = self.nearest(prompt)
        if not known and nearest[0][1] < FAR:
            lines.append(
                f"the pocket model was not trained on this; the nearest that it knows: "
                f"{', '.join(noun for noun, _ in nearest)}; for open vocabulary use a released model (base40M-textvec)"
            )
        length = self.encoder.n_tokens(prompt)
        if length > MAX_TOKENS:
            lines.append(f"the prompt has {length} tokens; only the first {MAX_TOKENS} are read")
        return lines
