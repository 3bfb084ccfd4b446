"""What the embedded model knows: what it was trained on passes, everything else is said in a line each."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from enpointe.checkpoints.embedded import embedded_path, text_encoder
from enpointe.checkpoints.registry import MODELS
from enpointe.checkpoints.weights import read_weights
from enpointe.data.captions import caption, draw_paint
from enpointe.data.procedural.families import FAMILIES
from enpointe.data.procedural.family import Family
from enpointe.encoders.minilm import MAX_TOKENS, TextEncoder
from enpointe.pipelines.families.pocket.things import VOCABULARY, Thing, embedded_things, things_of
from enpointe.pipelines.families.pocket.vocabulary import NEAR, Vocabulary, plurals

KNOWN = [
    "car", "A RED CAR!", "FAIRY-TALE CASTLE", "green\tcar", "a light blue car", "a bright light", "car, red",
    "a car (red)", "a car - red", "the robot is waving", "a toy car red", "a man walks", "a car in red", "a chair.",
    "a mug filled with coffee", "a car-like truck", "a red and white rocket", "a wooden table", "a steel hammer",
    "a man with a hat and a red shirt", "a house with a chimney, and red windows", "an aeroplane with two engines",
    "a small car without a roof", "a dog with a red collar", "a blue car with yellow wheels",
]  # fmt: skip
UNKNOWN = [
    "quantum mechanics", "a dragon", "the meaning of life", "spaghetti carbonara", "a light blue dragon",
    "a tree-lined boulevard", "a car park", "a horse's saddle", "a guitar player", "carpet", "a scar", "a doggerel",
    "赤い車", "красный стул", "سيارة حمراء", "🚗", "1234", "ÄÖÜ", "?!", "red", "",
]  # fmt: skip


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return text_encoder(torch.device("cpu"))


@pytest.fixture(scope="module")
def vocabulary(encoder: TextEncoder) -> Vocabulary:
    return Vocabulary(encoder, embedded_things())


def line_about(vocabulary: Vocabulary, prompt: str) -> str:
    (line,) = vocabulary.warnings(prompt)
    assert "\n" not in line
    return line


def families() -> list[tuple[Thing, Family]]:
    """Each thing with the procedural family that it is."""
    by_name = {family.names[0]: family for family in FAMILIES.values()}
    return [(thing, by_name[thing.name]) for thing in embedded_things()]


# --- the list of things


def test_the_list_is_the_one_that_the_weights_were_trained_on() -> None:
    info = read_weights(embedded_path("layout")).info
    assert {name for thing in embedded_things() for name in thing.names} == set(info["nouns"])
    assert things_of(info) == embedded_things()
    assert set(things_of({"nouns": info["nouns"]})) == set(embedded_things())  # as an older header lists them
    assert MODELS["pocket"].nouns == tuple(thing.names for thing in embedded_things())


@pytest.mark.slow
def test_the_list_is_what_captions_say() -> None:
    """Every word that is listed can come, and a hundred objects of a family bring none that is not listed."""
    rng = np.random.default_rng(1)
    for thing, family in families():
        assert thing.names == tuple(family.names)
        assert thing.parts == tuple(slot.label for slot in family.slots if slot.label)
        drawn = [family.assemble(rng) for _ in range(100)]
        assert {a for one in drawn for a in one.adjectives if a} <= set(thing.adjectives)
        assert {p for one in drawn for p in one.phrases if p} <= set(thing.phrases)
        assert set(thing.materials) <= {color for slot in family.slots for color in slot.natural}


def test_the_file_is_in_alphabetical_order() -> None:
    names = list(json.loads(VOCABULARY.read_text("utf-8")))
    assert names == sorted(names)


def test_a_noun_of_other_weights_stands_for_itself() -> None:
    things = things_of({"nouns": ["car", "gizmo"]})
    assert [thing.name for thing in things] == ["car", "gizmo"]
    assert things[1] == Thing(("gizmo",))


def test_a_name_of_two_things_may_be_either(encoder: TextEncoder) -> None:
    sail = Thing(("sailboat", "boat"), parts=("a sail",))
    row = Thing(("rowing boat", "boat"), parts=("oars",))
    vocabulary = Vocabulary(encoder, (sail, row))
    assert vocabulary.warnings("a boat with a sail and oars") == []
    assert "not trained on the part sail of a rowing boat" in line_about(vocabulary, "a rowing boat with a sail")


# --- what passes


@pytest.mark.parametrize("prompt", KNOWN)
def test_known_prompts_pass(vocabulary: Vocabulary, prompt: str) -> None:
    assert vocabulary.warnings(prompt) == []


def test_every_name_passes(vocabulary: Vocabulary) -> None:
    for thing in vocabulary.things:
        for name in thing.names:
            assert vocabulary.warnings(f"a pink {name}") == []
            assert all(vocabulary.names_a_thing(f"three {form}") for form in plurals(name))


def test_captions_of_the_training_data_pass(vocabulary: Vocabulary) -> None:
    rng = np.random.default_rng(0)
    for _, family in families():
        for _ in range(12):
            assembly = family.assemble(rng)
            slots = {part.slot for part in assembly.parts}
            text = caption(family, draw_paint(family, rng), slots, assembly.adjectives, assembly.phrases, rng)
            assert vocabulary.warnings(text) == [], text


# --- what does not


@pytest.mark.parametrize("prompt", UNKNOWN)
def test_an_unknown_noun_is_said_in_one_line(vocabulary: Vocabulary, prompt: str) -> None:
    line = line_about(vocabulary, prompt)
    assert "does not know this" in line
    assert "base40M-textvec" in line


@pytest.mark.parametrize("prompt", ["the meaning of life", "quantum mechanics"])
def test_where_nothing_is_near_the_command_that_lists_all_is_named(vocabulary: Vocabulary, prompt: str) -> None:
    assert "nothing that it knows is near ('enpointe models show pocket' lists it)" in line_about(vocabulary, prompt)


@pytest.mark.parametrize(
    ("prompt", "near"),
    [("a van", "car"), ("an aircraft", "aeroplane, helicopter")],
)  # fmt: skip
def test_near_things_are_named_once_each(vocabulary: Vocabulary, prompt: str, near: str) -> None:
    assert f"the nearest that it knows: {near};" in line_about(vocabulary, prompt)


@pytest.mark.parametrize(
    ("prompt", "meant"), [("a motorcyle", "motorcycle"), ("a red gitar", "guitar"), ("a hosue", "house")]
)
def test_a_slip_of_the_pen_is_put_right(vocabulary: Vocabulary, prompt: str, meant: str) -> None:
    assert f"did you mean {meant}?" in line_about(vocabulary, prompt)


@pytest.mark.parametrize("prompt", ["two red cars", "3 dogs", "dogs", "several chairs", "a pair of dogs"])
def test_counts(vocabulary: Vocabulary, prompt: str) -> None:
    assert "draws a single object; the count is ignored" in line_about(vocabulary, prompt)


@pytest.mark.parametrize(
    "prompt",
    ["a lamp on a table", "a lamp next to a house", "a lamp and a cat", "a lamp beside the door", "a lamp in a box"],
)
def test_relations(vocabulary: Vocabulary, prompt: str) -> None:
    assert "draws a single object, here the lamp; other objects are ignored" in line_about(vocabulary, prompt)


@pytest.mark.parametrize(
    ("prompt", "material"),
    [("a table made of glass", "glass"), ("a glass bottle", "glass"), ("a marble castle", "marble"),
     ("a plastic chair", "plastic"), ("a brick car", "brick")],
)  # fmt: skip
def test_materials(vocabulary: Vocabulary, prompt: str, material: str) -> None:
    assert f"the pocket model was not trained on the material {material} of a " in line_about(vocabulary, prompt)


@pytest.mark.parametrize(
    ("prompt", "part"),
    [("a car with wings", "wings"), ("a chair with big yellow wheels", "wheels"), ("a dog with a hat", "hat")],
)
def test_parts(vocabulary: Vocabulary, prompt: str, part: str) -> None:
    line = line_about(vocabulary, prompt)
    assert f"the pocket model was not trained on the part {part} of a " in line


def test_several_lines_at_once(vocabulary: Vocabulary) -> None:
    lines = vocabulary.warnings("three glass mugs on a table")
    assert [line.split(":")[0].split(",")[0] for line in lines] == [
        "the pocket model draws a single object; the count is ignored",
        "the pocket model draws a single object",
        "the pocket model was not trained on the material glass of a mug; it knows no materials of it",
    ]


def test_nearest_is_nearest_first_and_each_thing_once(vocabulary: Vocabulary) -> None:
    found = vocabulary.nearest("a motorbike", len(vocabulary.things))
    assert found[0][0] == "motorcycle"
    assert found[0][1] == pytest.approx(1, abs=1e-3)
    assert found[1][1] < 0.7
    cosines = [cosine for _, cosine in found]
    assert cosines == sorted(cosines, reverse=True)
    assert {name for name, _ in found} == {thing.name for thing in vocabulary.things}
    assert cosines[-1] < NEAR


def test_long_prompts_name_the_cut(vocabulary: Vocabulary, encoder: TextEncoder) -> None:
    long = "a red house " + "with a blue roof " * 60
    line = line_about(vocabulary, long)
    assert str(encoder.n_tokens(long)) in line
    assert str(MAX_TOKENS) in line
    assert len(vocabulary.warnings("quantum mechanics of everything " * 50)) == 2
    # Two of the tokens mark the ends.
    fits = "car " * (MAX_TOKENS - 2)
    assert encoder.n_tokens(fits) == MAX_TOKENS
    assert not any("tokens" in line for line in vocabulary.warnings(fits))
    assert any("tokens" in line for line in vocabulary.warnings(fits + "car"))


@pytest.mark.parametrize(
    ("noun", "many"),
    [("potted plant", "potted plants"), ("bench", "benches"), ("pony", "ponies"), ("knife", "knives"),
     ("bookshelf", "bookshelves"), ("snow man", "snow men"), ("person", "people"), ("saguaro", "saguaros")],
)  # fmt: skip
def test_plurals(noun: str, many: str) -> None:
    assert many in plurals(noun)
