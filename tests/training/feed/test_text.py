"""Features of captions: those of the encoder, remembered, and the same bits whatever was asked for before."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from enpointe.checkpoints.embedded import text_encoder
from enpointe.training.feed import text
from enpointe.training.feed.text import TextFeatures

CPU = torch.device("cpu")
CAPTIONS = ["a red car", "", "a tall wooden chair with a blue seat", "a red car", "dog", "a green tree"]


def test_they_are_the_encoders() -> None:
    found = TextFeatures(CPU, 10)(CAPTIONS)
    assert found.shape == (6, 10, 384)
    assert found.dtype == torch.float32
    assert not found.is_inference()
    expected = text_encoder(CPU).condition(CAPTIONS, 10).transpose(1, 2)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    assert not found[1].any()
    assert torch.equal(found[0], found[3])


def test_the_bits_do_not_depend_on_what_was_encoded_before_or_beside() -> None:
    whole = TextFeatures(CPU, 12)(CAPTIONS)
    others = [f"a {color} {noun}" for color in ("red", "blue", "black") for noun in ("car", "cup", "ship", "cat")]
    used = TextFeatures(CPU, 12)
    used(others)
    for caption, features in zip(CAPTIONS, whole, strict=True):
        assert torch.equal(used([caption])[0], features)
        assert torch.equal(TextFeatures(CPU, 12)([*others, caption])[-1], features)


def test_each_caption_is_encoded_once_while_it_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    encode = text.encoded

    def noted(captions: Any, *arguments: Any) -> Any:
        asked.extend(captions)
        return encode(captions, *arguments)

    monkeypatch.setattr(text, "encoded", noted)
    features = TextFeatures(CPU, 6, remembered=3)
    whole = TextFeatures(CPU, 6)(["a", "b", "c", "d", "e"])
    asked.clear()
    for captions, new in (
        (["a", "b"], ["a", "b"]),
        (["b", "c"], ["c"]),
        (["a", "a"], []),
        (["d"], ["d"]),  # in the place of b, which was asked for longest ago
        (["a", "c", "d"], []),
        (["b"], ["b"]),
        (["a", "b", "c", "d", "e"], ["a", "b", "c", "d", "e"]),  # more than it holds: it grows
        (["e", "a"], []),
    ):
        found = features(captions)
        assert asked == new
        assert torch.equal(found, torch.stack([whole["abcde".index(caption)] for caption in captions]))
        asked.clear()
