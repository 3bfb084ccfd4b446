"""Published numbers stand beside a run's only where both are of the same thing."""

from __future__ import annotations

import pytest

from enpointe.evaluation.measures.published import PROMPTS, prompts_sha256, published_context

CAPTIONS = [f"a photo of thing {i}" for i in range(PROMPTS)]


@pytest.mark.parametrize(("encoder", "best"), [("vit-b-32", 0.411), ("vit-l-14", 0.468)])
def test_the_same_encoder_and_the_users_word(encoder: str, best: float) -> None:
    found = published_context(encoder, CAPTIONS, stated=True)
    assert found.why_not is None
    assert dict(found.rows)["Point-E 1B"] == pytest.approx(best)
    assert "user's statement" in found.caveat


@pytest.mark.parametrize(
    ("encoder", "captions", "stated", "why"),
    [
        ("joint", CAPTIONS, True, "'joint'"),
        ("vit-b-32", CAPTIONS[1:], True, "152 prompts"),
        ("vit-b-32", [*CAPTIONS[1:], CAPTIONS[5].upper()], True, "152 prompts"),
        ("vit-l-14", CAPTIONS, False, "nothing says"),
    ],
)
def test_anything_else_is_not_compared(encoder: str, captions: list[str], stated: bool, why: str) -> None:
    found = published_context(encoder, captions, stated=stated)
    assert found.rows == ()
    assert found.why_not is not None
    assert why in found.why_not


def test_the_hash_is_of_the_set() -> None:
    assert prompts_sha256(["a", "B."]) == prompts_sha256(["b", "A", "a "])
    assert prompts_sha256(["a", "b"]) != prompts_sha256(["a", "c"])
    assert prompts_sha256(["a b"]) != prompts_sha256(["a", "b"])
