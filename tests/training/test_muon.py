"""Muon: the steps of PyTorch's own, many matrices at a time, and none where a gradient is no number."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from enpointe.nn.point_transformer import PointTransformerConfig
from enpointe.training.muon import Muon, orthogonalized
from enpointe.training.optimizers import build_optimizers, take_step

SHAPES = ((6, 6), (12, 5), (6, 6), (5, 12))


def matrices(seed: int = 0) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def with_gradients(parameters: list[nn.Parameter], seed: int) -> None:
    for parameter, value in zip(parameters, matrices(seed), strict=True):
        parameter.grad = value.detach().clone()


def test_it_takes_the_steps_of_pytorchs() -> None:
    ours, theirs = matrices(), matrices()
    one = Muon(ours, lr=0.02, weight_decay=0.1, dtype=torch.bfloat16)
    two = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for step in range(1, 4):
        for parameters, optimizer in ((ours, one), (theirs, two)):
            with_gradients(parameters, step)
            optimizer.step()
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-3)
    assert all((mine - before).abs().max() > 0.02 for mine, before in zip(ours, matrices(), strict=True))


@pytest.mark.parametrize(("a", "b"), [(7, 7), (9, 4), (4, 9)])
def test_singular_values_come_near_one(a: int, b: int) -> None:
    found = orthogonalized(torch.randn(3, a, b, generator=torch.Generator().manual_seed(1)), torch.float32)
    values = torch.linalg.svdvals(found)
    assert found.dtype == torch.float32
    assert values.max() < 1.3
    assert values.mean() == pytest.approx(1, abs=0.25)


def test_a_resumed_optimizer_goes_on() -> None:
    ours, theirs = matrices(), matrices()
    one = Muon(ours, lr=0.1, weight_decay=0.0, dtype=torch.float32)
    with_gradients(ours, 1)
    one.step()
    two = Muon(theirs, lr=0.1, weight_decay=0.0, dtype=torch.float32)
    with torch.no_grad():
        for parameter, value in zip(theirs, ours, strict=True):
            parameter.copy_(value)
    two.load_state_dict(deepcopy(one.state_dict()))
    for parameters, optimizer in ((ours, one), (theirs, two)):
        with_gradients(parameters, 2)
        optimizer.step()
    assert all(torch.equal(mine, other) for mine, other in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_a_step_with_a_gradient_that_is_no_number_leaves_everything_as_it_is(name: str) -> None:
    network = PointTransformerConfig(width=16, layers=2, heads=2).build()
    optimizers = build_optimizers(network, name, 1e-2, 0.1)

    def gradients(value: float) -> None:
        for parameter in network.parameters():
            parameter.grad = torch.full_like(parameter, value)

    gradients(0.5)
    norm, skipped = take_step(network, optimizers, 1e-2, clip=1.0)
    assert norm > 1
    assert skipped == 0
    before = {key: value.clone() for key, value in network.state_dict().items()}
    states = [[{k: v.clone() for k, v in one.items()} for one in optimizer.state.values()] for optimizer in optimizers]
    for bad in (float("nan"), float("inf")):
        gradients(0.5)
        next(iter(network.parameters())).grad.view(-1)[3] = bad  # type: ignore[union-attr]
        _, skipped = take_step(network, optimizers, 1e-2, clip=1.0)
        assert skipped == 1
        assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
        for optimizer, state in zip(optimizers, states, strict=True):
            for one, two in zip(optimizer.state.values(), state, strict=True):
                assert all(torch.equal(one[key], two[key]) for key in two)
    gradients(0.5)
    take_step(network, optimizers, 1e-2, clip=1.0)
    assert not any(torch.equal(value, before[key]) for key, value in network.state_dict().items())
