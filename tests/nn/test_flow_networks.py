"""What holds for `layout` and `detail` whatever their weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from enpointe.core.errors import InputError
from enpointe.nn.detail import DetailConfig
from enpointe.nn.hidden import hidden_matrices
from enpointe.nn.layout import LayoutConfig
from enpointe.nn.modulated import ModulatedBlock
from rounding import assert_same_sums

TEXT = 12
CONFIGS = {
    "layout": LayoutConfig(width=32, layers=2, heads=4, tokens=8, n_points=128, text=TEXT),
    "layout of all": LayoutConfig(
        width=32, layers=2, heads=4, tokens=8, n_points=128, text=TEXT, image=20, image_places=9, known=64
    ),
    "detail": DetailConfig(
        width=32, layers=2, heads=4, window=32, coarse_width=24, coarse_layers=1, coarse_heads=3, tokens=8, text=TEXT
    ),
}


def stirred(network: nn.Module) -> nn.Module:
    """Outputs and modulations begin as zero: give them something to say."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return network


def inputs() -> tuple[Tensor, Tensor, dict[str, Any]]:
    return torch.randn(3, 6, 128), torch.tensor([0.1, 0.5, 0.9]), {"grids": {"text": torch.randn(3, TEXT, 5)}}


@pytest.fixture(params=CONFIGS)
def network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return stirred(CONFIGS[request.param].build())


@torch.no_grad()
def test_batch_rows_are_alone(network: nn.Module) -> None:
    x, t, cond = inputs()
    y = network(x, t, **cond)
    assert y.shape == x.shape
    alone = network(x[1:2], t[1:2], grids={"text": cond["grids"]["text"][1:2]})
    assert_same_sums(y[1:2], alone, network)


@torch.no_grad()
def test_text_and_time_matter(network: nn.Module) -> None:
    x, t, cond = inputs()
    y = network(x, t, **cond)
    assert (network(x, t, grids={"text": torch.zeros(3, TEXT, 5)}) - y).abs().amax((1, 2)).min() > 1e-3
    assert (network(x, t * 0.9, **cond) - y).abs().amax((1, 2)).min() > 1e-3


@torch.no_grad()
def test_detail_sees_a_set() -> None:
    torch.manual_seed(0)
    network = stirred(CONFIGS["detail"].build())
    x, t, cond = inputs()
    order = torch.randperm(x.shape[-1])
    # Points of one leaf change places among themselves, so that sums come in another order.
    assert_same_sums(network(x[..., order], t, **cond), network(x, t, **cond)[..., order], network)


@torch.no_grad()
def test_a_window_sees_itself_alone() -> None:
    torch.manual_seed(0)
    block = stirred(ModulatedBlock(16, 2, 8, window=4))
    shifted = stirred(ModulatedBlock(16, 2, 8, window=4, shifted=True))
    x, condition = torch.randn(1, 12, 16), torch.randn(1, 1, 8)
    other = x.clone()
    other[:, 5] += 1
    for layer, changed in ((block, [4, 5, 6, 7]), (shifted, [2, 3, 4, 5])):
        difference = (layer(x, condition) - layer(other, condition)).abs().amax(2)[0]
        assert difference.nonzero().flatten().tolist() == changed


def test_a_fresh_network_predicts_nothing() -> None:
    x, t, cond = inputs()
    for config in CONFIGS.values():
        assert not config.build()(x, t, **cond).any()


def test_blocks_declare_their_hidden_matrices() -> None:
    layout = CONFIGS["layout"].build()
    # Of two blocks: query, key_value, out, expand, contract; of the first also those of its context.
    assert [tuple(m.shape) for m in hidden_matrices(layout)].count((32, 32)) == 2 + 2 + 2
    assert len(hidden_matrices(layout)) == 8 + 5


@torch.no_grad()
def test_images_and_known_points_matter_and_absent_ones_are_zeros() -> None:
    torch.manual_seed(0)
    network = stirred(CONFIGS["layout of all"].build())
    x, t, cond = inputs()
    text = cond["grids"]["text"]
    plain = network(x, t, grids={"text": text})
    zeros = {"image": torch.zeros(3, 20, 9), "known": torch.zeros(3, 6, 64)}
    torch.testing.assert_close(network(x, t, grids={"text": text, **zeros}), plain)
    for more in ({"image": torch.randn(3, 20, 9)}, {"image": torch.randn(3, 20, 36)}, {"known": torch.randn(3, 6, 64)}):
        assert (network(x, t, grids={"text": text, **more}) - plain).abs().amax((1, 2)).min() > 1e-3


@torch.no_grad()
def test_what_is_new_begins_without_effect() -> None:
    """Weights of a network of texts are a start for one that takes images and known points too."""
    torch.manual_seed(0)
    old, new = stirred(CONFIGS["layout"].build()), CONFIGS["layout of all"].build()
    missing, unexpected = new.load_state_dict(old.state_dict(), strict=False)
    assert not unexpected
    assert all(key.startswith(("image.", "known.", "blocks.1.context_")) for key in missing)
    x, t, cond = inputs()
    grids = {**cond["grids"], "image": torch.randn(3, 20, 9), "known": torch.randn(3, 6, 64)}
    torch.testing.assert_close(new(x, t, grids=grids), old(x, t, **cond))


def test_points_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="multiple of 8 tokens as n_points, found 100"):
        LayoutConfig(width=32, layers=1, heads=4, tokens=8, n_points=100, text=TEXT).build()
    with pytest.raises(InputError, match="multiple of 16 points as known, found 40"):
        LayoutConfig(width=32, layers=1, heads=4, tokens=8, n_points=128, text=TEXT, known=40).build()
    _, t, cond = inputs()
    with pytest.raises(InputError, match="power of two"):
        CONFIGS["detail"].build()(torch.randn(3, 6, 100), t, **cond)
