"""What the model knows: nouns and plurals pass, far prompts get one line."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from enpointe.checkpoints.embedded import text_encoder
from enpointe.data.captions import caption, draw_paint
from enpointe.data.procedural.families import FAMILIES
from enpointe.encoders.minilm import MAX_TOKENS, TextEncoder
from enpointe.pipelines.families.pocket.vocabulary import FAR, Vocabulary, plurals

FAR_AWAY = [
    "quantum mechanics", "a dragon", "the meaning of life", "spaghetti carbonara", "a light blue dragon",
    "a car-shaped xylophone orchestra", "a tree-lined boulevard", "the table tennis final", "a car park",
]  # fmt: skip
SCRIPTS = ["赤い車", "красный стул", "سيارة حمراء", "🚗", "1234", "ÄÖÜ", "?!"]
SPOKEN = [
    "car", "A RED CAR!", "two benches", "three puppies", "knives", "buses", "women", "snowmen", "people", "cacti",
    "bookshelves", "ponies", "wrenches", "pairs of scissors", "a towering blue high-rise, at dusk",
    "FAIRY-TALE CASTLE", "green\tcar", "a light blue car", "a bright light", "red-and-white lighthouse", "axes",
    "car, red", "a car (red)", "a car - red",
    "a dog sitting on a mat", "a table made of glass", "the robot is waving", "a toy car red", "a man walks",
    "a mug filled with coffee", "two chairs facing each other", "a dragon and a castle", "a chair.", "a car-like truck",
]  # fmt: skip


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return text_encoder(torch.device("cpu"))


@pytest.fixture(scope="module")
def vocabulary(encoder: TextEncoder) -> Vocabulary:
    return Vocabulary(encoder, tuple(sorted({name for family in FAMILIES.values() for name in family.names})))


def test_every_noun_and_its_plural_pass(vocabulary: Vocabulary) -> None:
    for noun in vocabulary.nouns:
        assert vocabulary.warnings(f"a pink {noun} with spots") == []
        assert all(vocabulary.names_a_noun(f"three {form}") for form in plurals(noun))


@pytest.mark.parametrize("prompt", SPOKEN)
def test_nouns_pass_however_they_are_written(vocabulary: Vocabulary, prompt: str) -> None:
    assert vocabulary.names_a_noun(prompt)
    assert vocabulary.warnings(prompt) == []


def test_all_captions_of_the_families_pass(vocabulary: Vocabulary) -> None:
    rng = np.random.default_rng(0)
    for family in FAMILIES.values():
        for _ in range(12):
            assembly = family.assemble(rng)
            slots = {part.slot for part in assembly.parts}
            text = caption(family, draw_paint(family, rng), slots, assembly.adjectives, assembly.phrases, rng)
            assert vocabulary.names_a_noun(text), text


def test_a_noun_that_only_qualifies_the_next_is_not_what_a_prompt_is_about(vocabulary: Vocabulary) -> None:
    for prompt in ("a car park", "a car-shaped cake", "a horse's saddle", "a horse\u2019s saddle", "a guitar player"):
        assert not vocabulary.names_a_noun(prompt)
    assert vocabulary.names_a_noun("a toy-car table")


@pytest.mark.parametrize(
    "prompt", ["carpet", "a scar", "carburettor", "a doggerel", "delight", "", "light blue", "plan"]
)
def test_parts_of_words_are_no_nouns(vocabulary: Vocabulary, prompt: str) -> None:
    assert not vocabulary.names_a_noun(prompt)


def test_synonyms_that_are_no_nouns_of_ours_pass_by_their_vectors(vocabulary: Vocabulary) -> None:
    for prompt in ("a motor cycle", "an aircraft", "a book case", "a blue robot toy", "a dog portrait"):
        assert not vocabulary.names_a_noun(prompt)
        assert vocabulary.warnings(prompt) == []


@pytest.mark.parametrize("prompt", [*FAR_AWAY, *SCRIPTS])
def test_far_prompts_get_one_line(vocabulary: Vocabulary, prompt: str) -> None:
    (line,) = vocabulary.warnings(prompt)
    assert "\n" not in line
    nearest = vocabulary.nearest(prompt)
    assert len(nearest) == 3
    assert nearest[0][1] < FAR
    assert ", ".join(noun for noun, _ in nearest) in line
    assert "released model" in line
    assert "base40M-textvec" in line


def test_nearest_is_nearest_first(vocabulary: Vocabulary) -> None:
    names = vocabulary.nearest("a motorbike", len(vocabulary.nouns))
    assert names[0][0] == "motorbike"
    assert names[0][1] == pytest.approx(1, abs=1e-3)
    assert "motorcycle" in [name for name, _ in names[:3]]
    cosines = [cosine for _, cosine in names]
    assert cosines == sorted(cosines, reverse=True)
    assert {name for name, _ in names} == set(vocabulary.nouns)


def test_long_prompts_name_the_cut(vocabulary: Vocabulary, encoder: TextEncoder) -> None:
    long = "a red car " + "with a blue roof " * 60
    (line,) = vocabulary.warnings(long)
    assert str(encoder.n_tokens(long)) in line
    assert str(MAX_TOKENS) in line
    assert "\n" not in line
    assert len(vocabulary.warnings("quantum mechanics of everything " * 50)) == 2
    # Two of the tokens mark the ends.
    fits = "car " * (MAX_TOKENS - 2)
    assert encoder.n_tokens(fits) == MAX_TOKENS
    assert vocabulary.warnings(fits) == []
    assert len(vocabulary.warnings(fits + "car")) == 1


@pytest.mark.parametrize(
    ("noun", "many"),
    [("potted plant", "potted plants"), ("bench", "benches"), ("pony", "ponies"), ("knife", "knives"),
     ("bookshelf", "bookshelves"), ("snow man", "snow men"), ("person", "people"), ("saguaro", "saguaros")],
)  # fmt: skip
def test_plurals(noun: str, many: str) -> None:
    assert many in plurals(noun)
