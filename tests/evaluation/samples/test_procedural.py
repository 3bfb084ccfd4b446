"""Procedural objects of what prompts ask for."""

from __future__ import annotations

import numpy as np
import pytest

from enpointe.core.errors import InputError
from enpointe.evaluation.observation import oriented
from enpointe.evaluation.prompts import subject_of
from enpointe.evaluation.samples.procedural import ProceduralSamples


def test_new_objects_are_of_their_prompts() -> None:
    objects = ProceduralSamples(["a pink motorcycle", "nonsense", "a green mug"], 4, n_points=64, seed=1)
    found = list(objects)
    assert [sample.prompt for sample in found] == ["a pink motorcycle", "a green mug"] * 2
    assert objects.notes == ["1 of 3 prompts have no procedural objects"]
    for mug in (found[1], found[3]):
        red, green, blue = np.median(mug.cloud.colors, axis=0)
        assert green > max(red, blue)
    assert not np.array_equal(found[1].cloud.points, found[3].cloud.points)
    again = list(ProceduralSamples(["a pink motorcycle", "nonsense", "a green mug"], 4, n_points=64, seed=1))
    np.testing.assert_array_equal(found[3].cloud.points, again[3].cloud.points)
    alone = list(ProceduralSamples(["a green mug"], 2, n_points=64, seed=1))
    np.testing.assert_array_equal(found[3].cloud.points, alone[1].cloud.points)
    assert subject_of("nonsense") is None
    with pytest.raises(InputError, match="none of which is plainly a thing"):
        ProceduralSamples(["nonsense"], 4)


def test_a_new_object_knows_its_normals() -> None:
    """The normals are the surface's: points lifted along them by a little leave the solid of a mug's body."""
    (mug,) = ProceduralSamples(["a green mug"], 1, n_points=4096, seed=2)
    assert mug.normals is not None
    assert np.linalg.norm(mug.normals, axis=1) == pytest.approx(1, abs=1e-5)
    # A closed surface's normals weighted by its area, of which the points are an even sample, sum to zero.
    assert np.abs(mug.normals.mean(axis=0)).max() < 0.05
    # The lowest points are of the floor that it stands on, the outermost ones of its wall.
    lowest = mug.cloud.points[:, 2] < mug.cloud.points[:, 2].min() + 1e-4
    assert (mug.normals[lowest, 2] < -0.9).mean() > 0.9
    surface = oriented(mug, [0])
    assert surface is not None
    assert len(surface.points) == 2048
    place = np.abs(surface.points[0] - mug.cloud.points).sum(axis=1).argmin()
    np.testing.assert_array_equal(surface.normals[0], mug.normals[place])
