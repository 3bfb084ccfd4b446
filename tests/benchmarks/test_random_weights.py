"""Random weights of the released networks."""

from __future__ import annotations

import torch
from benchmarks.random_weights import random_released


def test_random_weights_are_the_same_for_a_seed() -> None:
    one, other = (random_released("sdf", seed=3).state_dict() for _ in range(2))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert not torch.equal(one["output_proj.weight"], random_released("sdf", seed=4).state_dict()["output_proj.weight"])
