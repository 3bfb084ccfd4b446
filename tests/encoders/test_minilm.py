"""The embedded text encoder: what its vectors say, and that a text's vectors are its own."""

from __future__ import annotations

import pytest
import torch

from enpointe.checkpoints.embedded import text_encoder
from enpointe.encoders.minilm import MAX_TOKENS, WIDTH, TextEncoder
from rounding import assert_same_sums

TEXTS = ["a red motorcycle", "", "a white house with a red roof and two chimneys beside a tall green tree", "puppy"]
LONG = "a red car and a blue boat " * 400
STRANGE = ["红色的汽车", "красная машина", "سيارة حمراء", "🚗🚗", "\x00\x01", "a\tred\ncar", "é" * 300, "x" * 10_000]


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return text_encoder(torch.device("cpu"))


def similarity(encoder: TextEncoder, *texts: str) -> float:
    pooled, _, _ = encoder.encode(texts)
    return float(pooled[0] @ pooled[1])


def test_synonyms_are_near_and_other_things_far(encoder: TextEncoder) -> None:
    assert similarity(encoder, "red motorcycle", "red motorbike") > 0.8
    assert similarity(encoder, "a sofa", "a couch") > similarity(encoder, "a sofa", "an elephant") + 0.2
    assert similarity(encoder, "a red car", "a blue car") < 0.95


def test_shapes_and_lengths(encoder: TextEncoder) -> None:
    pooled, states, mask = encoder.encode(TEXTS)
    longest = max(encoder.n_tokens(text) for text in TEXTS)
    assert pooled.shape == (4, WIDTH)
    assert states.shape == (4, longest, WIDTH)
    assert torch.allclose(pooled.norm(dim=-1), torch.ones(4), atol=1e-5)
    assert mask.sum(1).tolist() == [encoder.n_tokens(text) for text in TEXTS]
    assert (states[~mask] == 0).all()
    assert (states[mask].norm(dim=-1) > 0.1).all()
    # The pooled vector is the mean over the text's own tokens.
    mean = states[0][mask[0]].mean(0)
    assert torch.allclose(pooled[0], mean / mean.norm(), atol=1e-5)


def test_a_text_is_the_same_in_any_company(encoder: TextEncoder) -> None:
    together = encoder.condition(TEXTS, 24)
    alone = torch.cat([encoder.condition([text], 24) for text in TEXTS])
    assert_same_sums(together, alone, encoder.network)
    assert torch.equal(encoder.condition(TEXTS, 24), together)
    assert_same_sums(encoder.condition(TEXTS[::-1], 24).flip(0), together, encoder.network)


def test_condition_is_the_pooled_vector_and_then_the_words(encoder: TextEncoder) -> None:
    pooled, states, mask = encoder.encode(TEXTS[:1])
    tokens = encoder.condition(TEXTS[:1], 24)
    assert tokens.shape == (1, WIDTH, 24)
    n = int(mask.sum()) - 1  # without the start mark
    assert torch.equal(tokens[..., 0], pooled)
    assert torch.equal(tokens[0, :, 1 : n + 1].T, states[0, 1:])
    assert (tokens[..., n + 1 :] == 0).all()
    # Cut short, what is left is the same.
    assert torch.equal(encoder.condition(TEXTS[:1], 3), tokens[..., :3])
    assert torch.equal(encoder.condition(TEXTS[:1], 1), tokens[..., :1])


@pytest.mark.parametrize("empty", ["", "  ", "\n\t"])
def test_an_empty_text_is_the_unconditional_input(encoder: TextEncoder, empty: str) -> None:
    assert (encoder.condition([empty, "a dog"], 8)[0] == 0).all()
    assert (encoder.condition([empty, "a dog"], 8)[1] != 0).any()


def test_long_texts_are_cut(encoder: TextEncoder) -> None:
    assert len(LONG) > 10_000
    assert encoder.n_tokens(LONG) > MAX_TOKENS
    _, states, mask = encoder.encode([LONG, "a dog"])
    assert states.shape[1] == MAX_TOKENS
    assert mask[0].all()
    # What comes after the cut does not matter.
    assert torch.equal(encoder.condition([LONG], 24), encoder.condition([LONG + " and a dog"], 24))


@pytest.mark.parametrize("text", STRANGE, ids=lambda text: ascii(text[:6]))
def test_any_text_works(encoder: TextEncoder, text: str) -> None:
    tokens = encoder.condition([text], 24)
    assert tokens.isfinite().all()
    assert (tokens[..., 0] != 0).any()


def test_upper_case_is_lower_case(encoder: TextEncoder) -> None:
    assert torch.equal(encoder.condition(["A Red CAR"], 8), encoder.condition(["a red car"], 8))
