"""EfficientNet-Lite0: its convolutions in closed form, batch norms folded away, shapes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from enpointe.nn.efficientnet import (
    CHANNELS,
    EPSILON,
    STAGES,
    STATISTICS,
    STEM,
    Block,
    Convolution,
    EfficientNetLite0,
    fold,
    folded_state,
    image_features,
)
from rounding import assert_same_sums


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    """Random weights under the published names, batch norms far from doing nothing."""
    generator = torch.Generator().manual_seed(0)

    def norm(name: str, width: int) -> dict[str, Tensor]:
        return {
            f"{name}.weight": 0.5 + torch.rand(width, generator=generator),
            f"{name}.bias": torch.randn(width, generator=generator) * 0.3,
            f"{name}.running_mean": torch.randn(width, generator=generator) * 0.3,
            f"{name}.running_var": 0.3 + torch.rand(width, generator=generator),
        }

    def weight(outputs: int, inputs: int, kernel: int) -> Tensor:
        return torch.randn(outputs, inputs, kernel, kernel, generator=generator) * (2 / (inputs * kernel**2)) ** 0.5

    state = {"_conv_stem.weight": weight(STEM, 3, 3), **norm("_bn0", STEM)}
    width, i = STEM, 0
    for stage in STAGES:
        for _ in range(stage.blocks):
            inside, out, name = width * stage.expansion, stage.width, f"_blocks.{i}"
            if stage.expansion > 1:
                state |= {f"{name}._expand_conv.weight": weight(inside, width, 1), **norm(f"{name}._bn0", inside)}
            state |= {f"{name}._depthwise_conv.weight": weight(inside, 1, stage.kernel), **norm(f"{name}._bn1", inside)}
            state |= {
                f"{name}._project_conv.weight": weight(stage.width, inside, 1),
                **norm(f"{name}._bn2", stage.width),
            }
            width, i = out, i + 1
    return state | {"_conv_head.weight": weight(CHANNELS, width, 1), **norm("_bn1", CHANNELS)}


def unfolded(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """The grid, computed from the published tensors with batch norms as they are."""

    def layer(x: Tensor, convolution: str, norm: str, stride: int = 1) -> Tensor:
        weight = state[f"{convolution}.weight"]
        kernel, groups = weight.shape[-1], x.shape[1] // weight.shape[1]
        lack = max(0, (-(-x.shape[-1] // stride) - 1) * stride + kernel - x.shape[-1])
        x = F.conv2d(F.pad(x, [lack // 2, lack - lack // 2] * 2), weight, stride=stride, groups=groups)
        mean, var, scale, shift = (
            state[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, var, scale, shift, eps=EPSILON)

    x = F.relu6(layer(x, "_conv_stem", "_bn0", 2))
    strides = [stage.stride if place == 0 else 1 for stage in STAGES for place in range(stage.blocks)]
    for i, stride in enumerate(strides):
        inside = x
        if f"_blocks.{i}._expand_conv.weight" in state:
            inside = F.relu6(layer(inside, f"_blocks.{i}._expand_conv", f"_blocks.{i}._bn0"))
        inside = F.relu6(layer(inside, f"_blocks.{i}._depthwise_conv", f"_blocks.{i}._bn1", stride))
        out = layer(inside, f"_blocks.{i}._project_conv", f"_blocks.{i}._bn2")
        x = x + out if x.shape == out.shape else out
    return F.relu6(layer(x, "_conv_head", "_bn1"))


@torch.inference_mode()
def test_folded_norms_are_the_norms(published: dict[str, Tensor]) -> None:
    exact = {key: value.double() for key, value in published.items()}  # sixteen random blocks magnify rounding
    network = EfficientNetLite0().eval().double()
    network.load_state_dict(folded_state(exact))
    x = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(1)).double()
    expected = unfolded(exact, x)
    assert expected.std() > 0.1
    torch.testing.assert_close(network(x).grid, expected)


@torch.inference_mode()
def test_a_convolution_and_its_norm_become_one() -> None:
    convolution, norm = nn.Conv2d(5, 7, 3, bias=False), nn.BatchNorm2d(7, eps=EPSILON)
    for tensor in (norm.weight, norm.bias, norm.running_mean):
        assert tensor is not None
        tensor.normal_()
    assert norm.running_var is not None
    norm.running_var.uniform_(0.1, 3)
    weight, bias = fold(convolution.weight, norm.state_dict())
    x = torch.randn(2, 5, 8, 8)
    together = F.conv2d(x, weight.view(7, 5, 3, 3), bias)
    assert_same_sums(together, norm.eval()(convolution(x)), convolution)


def test_a_tensor_that_is_missing_is_an_error(published: dict[str, Tensor]) -> None:
    with pytest.raises(KeyError, match=r"_blocks\.3"):
        folded_state({key: value for key, value in published.items() if key != "_blocks.3._bn1.bias"})


@torch.inference_mode()
def test_borders_lie_right_and_below_where_they_cannot_be_even() -> None:
    """Stride 2 over an even side: the first output sees pixels 0 to 2, the last one sees past the end."""
    layer = Convolution(1, 1, 3, 2)
    layer.weight.copy_(torch.tensor([[1.0, 10, 100, 0, 0, 0, 0, 0, 0]]))
    out = layer(torch.arange(1.0, 7).expand(1, 1, 6, 6))
    assert out.shape == (1, 1, 3, 3)
    assert out[0, 0, 0].tolist() == [321, 543, 65]  # first row of the kernel on the first row of pixels
    odd = Convolution(1, 1, 3, 2)
    odd.weight.copy_(layer.weight)
    assert odd(torch.ones(1, 1, 7, 7))[0, 0, 1].tolist() == [110, 111, 111, 11]


@torch.inference_mode()
def test_a_block_adds_only_where_shapes_allow() -> None:
    for stride, outputs, adds in ((1, 8, True), (2, 8, False), (1, 6, False)):
        block = Block(8, outputs, 3, stride, 6)
        block.project.weight.zero_()
        x = torch.randn(1, 8, 10, 10)
        assert torch.equal(block(x), x) == adds
        assert block.adds == adds


@torch.inference_mode()
def test_shapes_and_what_statistics_are() -> None:
    network = EfficientNetLite0().eval()
    sights = network(torch.randn(2, 3, 96, 64))
    assert sights.grid.shape == (2, CHANNELS, 3, 2)
    assert sights.statistics.shape == (2, STATISTICS)
    assert (sights.grid >= 0).all()
    assert (sights.grid <= 6).all()
    assert_same_sums(sights.pooled, sights.grid.mean((2, 3)), sights.grid[0, 0].numel())
    assert image_features(sights).shape == (2, CHANNELS + STATISTICS)
    x = F.relu6(network.stem(torch.zeros(1, 3, 64, 64)))
    first = network.blocks[0](x)
    said = network(torch.zeros(1, 3, 64, 64)).statistics[0, : 2 * STAGES[0].width]
    expected = torch.cat([first.mean((2, 3)), first.std((2, 3), correction=0)], 1)[0]
    assert_same_sums(said, expected, first[0, 0].numel())
    assert sum(p.numel() for p in network.parameters()) == 3_350_000
