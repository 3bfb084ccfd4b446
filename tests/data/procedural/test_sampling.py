"""Surface samples: only what can be seen, evenly, in the unit frame, and the same for the same generator."""

from __future__ import annotations

import numpy as np
import pytest

from enpointe.data.procedural.families import FAMILIES
from enpointe.data.procedural.family import Assembly, Builder
from enpointe.data.procedural.sampling import Surface, sample_surface


def boxes(*placed: tuple[tuple[float, float, float], tuple[float, float, float]]) -> Assembly:
    builder = Builder(np.random.default_rng(0))
    for size, at in placed:
        builder.box("any", size, at)
    return builder.assembly


def sampled(assembly: Assembly, n: int = 3000) -> Surface:
    return sample_surface(assembly, n, np.random.default_rng(0))


def in_assembly(surface: Surface) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return surface.points * surface.scale + surface.center


def test_a_box_within_a_box_is_not_seen() -> None:
    surface = sampled(boxes(((1, 1, 1), (0, 0, 0)), ((0.5, 0.5, 0.5), (0.1, 0, 0))))
    assert (surface.part == 0).all()


def test_touching_boxes_have_no_inner_face() -> None:
    """Two unit cubes side by side are one block: ten outer faces, none between."""
    surface = sampled(boxes(((1, 1, 1), (-0.5, 0, 0)), ((1, 1, 1), (0.5, 0, 0))))
    points = in_assembly(surface)
    assert (np.abs(points[:, 0]) > 1e-9).all()
    on_ends = np.isclose(np.abs(points[:, 0]), 1).mean()
    assert on_ends == pytest.approx(2 / 10, abs=0.02)
    assert (surface.part == 0).mean() == pytest.approx(0.5, abs=0.02)


def test_crossing_boxes_show_only_their_outsides() -> None:
    assembly = boxes(((2, 0.4, 0.4), (0, 0, 0)), ((0.4, 2, 0.4), (0, 0, 0)))
    points = in_assembly(sampled(assembly))
    assert np.abs(assembly.sdf(points)).max() < 1e-9  # none deeper than the union's surface


def test_points_are_even_over_the_surface() -> None:
    surface = sampled(boxes(((2, 1, 0.5), (3, 4, 5))), 7000)
    for axis, area in enumerate((0.5, 1.0, 2.0)):
        for side in (-1, 1):
            share = np.isclose(surface.normals[:, axis], side).mean()
            assert share == pytest.approx(area / 7, abs=0.01)
    # Within a face too: halves and quarters hold what they should.
    top = surface.points[np.isclose(surface.normals[:, 2], 1)]
    assert (top[:, 0] > 0).mean() == pytest.approx(0.5, abs=0.03)
    assert ((top[:, 0] > 0.25) & (top[:, 1] > 0)).mean() == pytest.approx(1 / 8, abs=0.03)


def test_the_unit_frame() -> None:
    surface = sampled(boxes(((4, 1, 2), (7, -3, 0.5))))
    assert surface.scale == pytest.approx(4)
    assert surface.center == pytest.approx([7, -3, 0.5])
    assert np.abs(surface.points).max(0) == pytest.approx([0.5, 0.125, 0.25], abs=1e-9)


@pytest.mark.parametrize("name", ["teapot", "bicycle", "dog", "castle"])
def test_normals_point_outward(name: str) -> None:
    assembly = FAMILIES[name].assemble(np.random.default_rng(3))
    surface = sampled(assembly, 800)
    assert np.allclose(np.linalg.norm(surface.normals, axis=1), 1)
    points, step = in_assembly(surface), 2e-3 * surface.scale
    outward = assembly.sdf(points + step * surface.normals) > assembly.sdf(points - step * surface.normals)
    assert outward.mean() > 0.97  # the rest lies at edges where parts meet, or on walls thinner than the step
    for i, part in enumerate(assembly.parts):
        own = (points[surface.part == i] - part.position) @ part.rotation
        if len(own):
            assert np.abs(part.solid.sdf(own)).max() < 0.02 * surface.scale


def test_same_generator_same_points() -> None:
    def draw(seed: int) -> list[bytes]:
        rng = np.random.default_rng(seed)
        surface = sample_surface(FAMILIES["car"].assemble(rng), 500, rng)
        return [surface.points.tobytes(), surface.normals.tobytes(), surface.part.tobytes()]

    assert draw(5) == draw(5)
    assert draw(5) != draw(6)


@pytest.mark.parametrize("n", [1, 2, 57, 4096])
def test_as_many_as_asked_for(n: int) -> None:
    surface = sampled(FAMILIES["chair"].assemble(np.random.default_rng(0)), n)
    assert len(surface.points) == len(surface.normals) == len(surface.part) == n


def test_order_is_random() -> None:
    """Any part of the points is a fair sample: the first half looks like the second."""
    surface = sampled(boxes(((1, 1, 1), (0, 0, 0)), ((1, 1, 1), (3, 0, 0))), 4000)
    assert (surface.part[:2000] == 0).mean() == pytest.approx(0.5, abs=0.05)
