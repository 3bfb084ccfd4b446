from __future__ import annotations

import pytest
import torch

from enpointe.core.errors import InputError
from enpointe.diffusion.noise import SeededNoise


def test_a_sample_owns_its_draws() -> None:
    batch = SeededNoise([7, 8, 7, 2**62])
    draws = [batch((4, 6, 100)), batch((4, 3)), batch((4, 6, 17))]
    for i, seed in enumerate([7, 8, 7, 2**62]):
        alone = SeededNoise([seed])
        for draw in draws:
            assert torch.equal(alone((1, *draw.shape[1:]))[0], draw[i])
    assert not torch.equal(draws[0][0], draws[0][1])
    assert not torch.equal(draws[0], SeededNoise([9, 9, 9, 9])((4, 6, 100)))


def test_draws_follow_each_other() -> None:
    noise = SeededNoise([0])
    first, second = noise((1, 6, 100)), noise((1, 6, 100))
    assert not torch.equal(first, second)


def test_draws_are_standard_normal_and_leave_the_global_generator_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    draws = SeededNoise(range(50))((50, 6, 400))
    assert torch.equal(torch.rand(3), expected)
    assert draws.dtype == torch.float32
    n = draws.numel()
    assert float(draws.mean()) == pytest.approx(0, abs=4 / n**0.5)
    assert float(draws.var()) == pytest.approx(1, abs=4 * (2 / n) ** 0.5)
    across = torch.corrcoef(draws.flatten(1)[:, :2000])  # neighboring seeds have nothing in common
    assert float((across - torch.eye(50)).abs().max()) < 5 / 2000**0.5


@pytest.mark.parametrize("seeds", [[], [-1], [2**63]])
def test_seeds_out_of_range(seeds: list[int]) -> None:
    with pytest.raises(InputError, match="expected"):
        SeededNoise(seeds)


def test_another_number_of_samples() -> None:
    with pytest.raises(InputError, match=r"expected a shape of 2 samples, found \(3, 6\)"):
        SeededNoise([0, 1])((3, 6))
