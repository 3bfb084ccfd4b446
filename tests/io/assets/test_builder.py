"""What models are put together with."""

from __future__ import annotations

import numpy as np
import pytest

from enpointe.core.errors import InputError
from enpointe.io.assets.builder import ModelBuilder, fans, first_of, grouped
from enpointe.io.assets.limits import AssetLimits
from enpointe.io.assets.model import Material


def test_polygons_are_cut_into_fans() -> None:
    np.testing.assert_array_equal(
        fans(np.array([3, 2, 5, 4])),
        [(0, 1, 2), (5, 6, 7), (5, 7, 8), (5, 8, 9), (10, 11, 12), (10, 12, 13)],
    )


def test_equal_rows_have_one_number_in_the_order_of_their_values() -> None:
    rows = np.array([(2, 0.5), (1, 0.5), (2, 0.5), (1, -1), (1, 0.5)])
    np.testing.assert_array_equal(grouped(rows.T), [2, 1, 2, 0, 1])


@pytest.mark.parametrize("values", [[3, 0, 3, 7], [9e9, -1, 9e9, 9e99], [-(2**60), 2**60, 0, 0], []])
def test_numbers_keep_the_order_of_the_values(values: list[float]) -> None:
    column = np.array(values)
    different, first, number = np.unique(column, return_index=True, return_inverse=True)
    np.testing.assert_array_equal(grouped([column]), number)
    np.testing.assert_array_equal(first_of(grouped([column])), first)
    assert len(different) == len(first)


def test_vertices_are_numbered_through_the_parts() -> None:
    builder = ModelBuilder(AssetLimits())
    corners = np.array([[(0, 0, 0), (1, 0, 0), (0, 1, 0)], [(0, 1, 0), (1, 0, 0), (1, 1, 0)]], float)
    number = builder.add_material(Material(np.ones(3, np.float32)))
    builder.add(corners, number)
    builder.add(corners, number, vertex=np.array([(0, 1, 2), (3, 4, 5)]))
    np.testing.assert_array_equal(builder.vertices(), [(0, 2, 1), (1, 2, 3), (4, 5, 6), (7, 8, 9)])


def test_a_model_has_colors_once_the_file_gives_any() -> None:
    builder = ModelBuilder(AssetLimits())
    default = builder.add_material(Material(np.ones(3, np.float32)), colored=False)
    given = builder.add_material(Material(np.ones(3, np.float32)))
    corners = np.eye(3)[None]
    builder.add(corners, default)
    assert not builder.has_colors
    builder.add(corners, np.array([given]))
    assert builder.has_colors


def test_textures_are_limited_in_all() -> None:
    builder = ModelBuilder(AssetLimits(all_pixels=7))
    half = Material(np.ones(3, np.float32), np.zeros((2, 2, 4), np.uint8))
    builder.add_material(half)
    with pytest.raises(InputError, match="at most 7 pixels in all"):
        builder.add_material(half)
