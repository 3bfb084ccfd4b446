"""Scenes: what a caption says of a number or a relation is so in space; and a scene is a function of its generator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from enpointe.data.procedural.families import FAMILIES
from enpointe.data.procedural.family import Assembly, Part
from enpointe.data.procedural.scenes import (
    BEFORE,
    BESIDE,
    COUNTS,
    ITEMS,
    ON,
    RELATIONS,
    SUPPORTS,
    Member,
    Scene,
    compose,
)  # fmt: skip
from enpointe.data.procedural.solids import Array

SCENES = 150
Composed = Sequence[tuple[Scene, Assembly]]


@pytest.fixture(scope="module")
def composed() -> Composed:
    return [compose(np.random.default_rng([0, i])) for i in range(SCENES)]


def parts_of(assembly: Assembly, member: int) -> list[Part]:
    return [part for part in assembly.parts if part.slot.startswith(f"{member}/")]


def vertices_of(parts: Sequence[Part]) -> Array:
    return Assembly(list(parts)).mesh()[0]


def objects_of(parts: Sequence[Part], count: int) -> list[list[Part]]:
    """The parts of each of a member's objects, which follow each other: the cuts that make objects of like size, apart.

    Raises:
        AssertionError: there are no such cuts.
    """
    each = [vertices_of([part]) for part in parts]
    low, high = np.array([v.min(axis=0) for v in each]), np.array([v.max(axis=0) for v in each])
    starts = [i for i, part in enumerate(parts) if part.slot == parts[0].slot]

    def cuts(ends: tuple[int, ...]) -> tuple[int, ...] | None:
        """Those from the last one so far to the end of the parts, with which all objects fit."""
        left = count - len(ends) + 1
        if left == 0:
            return ends if ends[-1] == len(parts) else None
        for end in [len(parts)] if left == 1 else [start for start in starts if start > ends[-1]]:
            boxes = [(low[a:b].min(axis=0), high[a:b].max(axis=0)) for a, b in pairwise((*ends, end))]
            if fits(boxes) and (found := cuts((*ends, end))) is not None:
                return found
        return None

    found = cuts((0,))
    assert found is not None, f"expected {count} objects that are apart"
    return [list(parts[a:b]) for a, b in pairwise(found)]


def fits(boxes: Sequence[tuple[Array, Array]]) -> bool:
    """Whether the last box is apart from the others on the floor, and all are of like size."""
    low, high = boxes[-1]
    longest = [float((b - a).max()) for a, b in boxes]
    return min(longest) > 0.75 * max(longest) and all(((high < a) | (b < low))[:2].any() for a, b in boxes[:-1])


def test_all_kinds_come(composed: Composed) -> None:
    kinds = Counter(scene.relation for scene, _ in composed)
    assert set(kinds) == {"", *RELATIONS}
    assert 0.25 * SCENES < kinds[""] < 0.55 * SCENES
    assert kinds[ON] > 0.12 * SCENES
    counts = Counter(scene.members[0].count for scene, _ in composed if not scene.relation)
    assert counts[2] > counts[4]
    assert set(counts) <= set(COUNTS)


def test_parts_have_the_slots_of_their_member(composed: Composed) -> None:
    for scene, assembly in composed:
        assert {part.slot for part in assembly.parts} <= set(scene.slots)
        assert len(scene.slots) == sum(len(FAMILIES[member.family].slots) for member in scene.members) <= 24
        assert all(parts_of(assembly, number) for number in range(len(scene.members)))


@pytest.mark.slow
def test_a_number_of_objects_is_that_many_apart_on_one_floor(composed: Composed) -> None:
    seen = 0
    for scene, assembly in composed:
        if scene.relation:
            continue
        objects = objects_of(parts_of(assembly, 0), scene.members[0].count)
        boxes = [vertices_of(one) for one in objects]
        longest = max(float(np.ptp(box, axis=0).max()) for box in boxes)
        assert all(abs(box[:, 2].min()) < 1e-6 * longest for box in boxes)
        assert all(float(np.ptp(box, axis=0).max()) == pytest.approx(longest, rel=0.25) for box in boxes)
        seen += 1
    assert seen > 30


def test_what_is_beside_or_in_front_is_there_and_apart(composed: Composed) -> None:
    seen: Counter[str] = Counter()
    for scene, assembly in composed:
        if scene.relation not in (BESIDE, BEFORE):
            continue
        one, other = (vertices_of(parts_of(assembly, number)) for number in (0, 1))
        axis = 1 if scene.relation == BEFORE else 0
        if scene.relation == BEFORE:
            assert one[:, 1].max() < other[:, 1].min()  # the front is -y
        else:
            assert one[:, 0].max() < other[:, 0].min() or other[:, 0].max() < one[:, 0].min()
        # They overlap seen from that side, and stand on the same floor.
        across = 1 - axis
        assert one[:, across].min() < other[:, across].max()
        assert other[:, across].min() < one[:, across].max()
        assert one[:, 2].min() == pytest.approx(0, abs=1e-6)
        assert other[:, 2].min() == pytest.approx(0, abs=1e-6)
        sizes = [float(np.ptp(box, axis=0).max()) for box in (one, other)]
        gap = max(one[:, axis].min() - other[:, axis].max(), other[:, axis].min() - one[:, axis].max())
        assert 0 < gap < 0.5 * min(sizes)
        seen[scene.relation] += 1
    assert min(seen[BESIDE], seen[BEFORE]) > 5


def test_what_is_on_something_is_carried_by_it(composed: Composed) -> None:
    """Its lowest points lie just in the support; a little higher none does; and all its objects are over it."""
    seen = 0
    for scene, assembly in composed:
        if scene.relation != ON:
            continue
        item, support = parts_of(assembly, 0), parts_of(assembly, 1)
        assert scene.members[0].family in ITEMS
        assert scene.members[1].family in SUPPORTS
        assert scene.members[1].count == 1
        inside = Assembly(support).sdf
        vertices, below = vertices_of(item), vertices_of(support)
        height = float(np.ptp(vertices[:, 2]))
        lowest = vertices[vertices[:, 2] < vertices[:, 2].min() + 1e-3 * height]
        assert (np.abs(inside(lowest)) < 0.03).all()
        assert lowest[:, 2].min() > below[:, 2].min() + 0.15 * float(np.ptp(below[:, 2]))
        assert not (inside(vertices[vertices[:, 2] > vertices[:, 2].min() + 0.05 * height]) < 0).any()
        assert (vertices.min(axis=0) >= below.min(axis=0) - 0.02)[:2].all()
        assert (vertices.max(axis=0) <= below.max(axis=0) + 0.02)[:2].all()
        for one in objects_of(item, scene.members[0].count):
            foot = vertices_of(one)
            foot = foot[foot[:, 2] < vertices[:, 2].min() + 1e-3 * height]
            assert len(foot)  # each of them stands, none floats upon another
        seen += 1
    assert seen > 15


def test_scenes_are_a_function_of_the_generator() -> None:
    for seed in range(8):
        (scene, assembly), (again, same) = (compose(np.random.default_rng(seed)) for _ in range(2))
        assert scene == again
        assert all(np.array_equal(a, b) for a, b in zip(assembly.mesh(), same.mesh(), strict=True))
    assert Scene.of_header(scene.header()) == scene


@pytest.mark.parametrize(
    "header",
    [
        {"members": [["unicorn", 2]], "relation": ""}, {"members": [["car", 0]], "relation": ""},
        {"members": [["car", 2]], "relation": "on"}, {"members": [["car", 1], ["cat", 1]], "relation": "under"},
        {"members": [], "relation": ""}, {"members": [["car", 1.5]], "relation": ""}, {"members": [["car", 1]]},
    ],
)  # fmt: skip
def test_other_headers_are_refused(header: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Scene.of_header(header)


def test_members_have_families_and_counts() -> None:
    assert Scene((Member("apple", 2), Member("table")), ON).slots[0] == "0/peel"
    assert Scene((Member("apple", 2), Member("table")), ON).slots[-1] == "1/legs"
