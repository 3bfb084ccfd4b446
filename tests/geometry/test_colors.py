"""Colors as displayed, and as light."""

from __future__ import annotations

import numpy as np

from enpointe.geometry.colors import to_linear, to_srgb


def test_known_values() -> None:
    np.testing.assert_allclose(to_linear([0, 0.04045, 0.5, 1]), [0, 0.0031308, 0.21404114, 1], atol=1e-6)
    np.testing.assert_allclose(to_srgb([0.0, 0.0031308, 0.21404114, 1.0]), [0, 0.04045, 0.5, 1], atol=1e-6)


def test_there_and_back_and_beyond_the_ends() -> None:
    values = np.linspace(0, 1, 1000, dtype=np.float32).reshape(10, 100)
    assert to_linear(values).dtype == np.float32
    np.testing.assert_allclose(to_srgb(to_linear(values)), values, atol=2e-6)
    np.testing.assert_allclose(to_srgb(np.array((-1, 2), np.float32)), (0, 1), atol=1e-6)
