"""What a run is made of: the average of weights, checkpoints, optimizers, the log."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from enpointe.core.errors import InputError, OutputError, WeightsError
from enpointe.nn.point_transformer import PointTransformerConfig
from enpointe.nn.pointnet2 import PointNet2Config
from enpointe.training.checkpoint import read_checkpoint, restore, save_checkpoint
from enpointe.training.ema import EMA
from enpointe.training.log import Log
from enpointe.training.optimizers import build_optimizers
from enpointe.training.validation import averaged

CPU = torch.device("cpu")


def filled(network: nn.Linear, value: float) -> nn.Linear:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(value)
    return network


def test_averages_in_closed_form() -> None:
    """Update k forgets all but min(decay, (1 + k) / (10 + k)) of what was."""
    network, decays = filled(nn.Linear(2, 3), 5.0), (0.2, 0.3)
    ema = EMA(network, decays)
    expected = [5.0, 5.0]
    for k, value in enumerate((1.0, -2.0, 4.0, 8.0, 0.5), start=1):
        ema.update(filled(network, value))
        kept = [min(decay, (1 + k) / (10 + k)) for decay in decays]
        expected = [one * before + (1 - one) * value for one, before in zip(kept, expected, strict=True)]
        for average, one in zip(ema.averages, expected, strict=True):
            assert average["weight"].numpy() == pytest.approx(one)
    assert kept == list(decays)
    assert (network.weight == 0.5).all()  # the network itself is left alone


def test_average_of_what_does_not_change_is_it() -> None:
    network = nn.Linear(4, 4)
    ema = EMA(network)
    for _ in range(50):
        ema.update(network)
    assert torch.allclose(ema.averages[0]["weight"], network.weight, atol=1e-6)


def test_frozen_parameters_are_not_copied() -> None:
    network = nn.Linear(2, 2)
    network.weight.requires_grad_(False)
    ema = EMA(network)
    ema.update(filled(network, 3.0))
    (average,) = ema.averages
    assert average.keys() == {"bias"}
    assert average["bias"].data_ptr() != network.bias.data_ptr()
    with averaged(network, average):
        assert (network.weight == 3).all()
        assert torch.equal(network.bias, average["bias"])
    assert (network.bias == 3).all()


def test_a_loaded_average_goes_on() -> None:
    network = nn.Linear(2, 2)
    one, two = EMA(network, (0.9, 0.95)), EMA(filled(nn.Linear(2, 2), 0.0), (0.9, 0.95))
    one.update(filled(network, 1.0))
    two.load(one.averages, one.updates)
    for ema in (one, two):
        ema.update(filled(network, 2.0))
    for ours, theirs in zip(one.averages, two.averages, strict=True):
        assert torch.equal(ours["weight"], theirs["weight"])
        assert ours["weight"].data_ptr() != theirs["weight"].data_ptr()
    with pytest.raises(ValueError, match="argument 2"):
        EMA(network, (0.9,)).load(one.averages, 1)


def parts(width: int = 8) -> tuple[nn.Module, EMA, list[torch.optim.Optimizer]]:
    network = nn.Linear(3, width)
    optimizers = build_optimizers(network, "adamw", 1e-3, 0.1)
    network(torch.randn(5, 3)).square().sum().backward()
    optimizers[0].step()
    ema = EMA(network)
    ema.update(network)
    return network, ema, optimizers


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    network, ema, optimizers = parts()
    state, feeds = {"step": 3, "done": {"image": 1.5}}, [{"streams": [{"done": 4}]}]
    save_checkpoint(tmp_path / "c", network, ema, optimizers, state, feeds)
    others = parts()
    saved = read_checkpoint(tmp_path / "c", CPU)
    restore(saved, tmp_path / "c", *others)
    assert (saved["run_state"], saved["feeds"]) == (state, feeds)
    for key, value in network.state_dict().items():
        assert torch.equal(others[0].state_dict()[key], value)
        assert torch.equal(others[1].averages[0][key], ema.averages[0][key])
    moments = (o[0].state_dict()["state"][0]["exp_avg"] for o in (optimizers, others[2]))
    assert torch.equal(*moments)


class Trap:
    """Unpickled, it would make a folder."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.path,)


def test_foreign_checkpoints_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c"
    save_checkpoint(path, *parts(width=9), {}, [])
    with pytest.raises(WeightsError, match="expected a checkpoint of this recipe"):
        restore(read_checkpoint(path, CPU), path, *parts())
    torch.save({"network": Trap(tmp_path / "trapped")}, path)
    with pytest.raises(WeightsError, match="expected a checkpoint of this recipe"):
        read_checkpoint(path, CPU)
    assert not (tmp_path / "trapped").exists()
    with pytest.raises(WeightsError, match="none"):
        read_checkpoint(tmp_path / "none", CPU)


def test_a_failing_write_leaves_the_former_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "c"
    save_checkpoint(path, *parts(), {"step": 1}, [])
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OutputError, match="expected to write a checkpoint"):
            save_checkpoint(path, *parts(), {"step": 2}, [])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_optimizers_hold_every_parameter_once_and_decay_matrices_only(name: str) -> None:
    network = PointTransformerConfig(width=16, layers=2, heads=2, grids=(("text", 4),)).build()
    optimizers = build_optimizers(network, name, 1e-3, 0.25)
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(map(id, network.parameters()))
    assert all((group["weight_decay"] == 0.25) == (p.ndim == 2) for group in groups for p in group["params"])
    if name == "muon":
        hidden = [id(p) for key, p in network.named_parameters() if key.startswith("backbone") and p.ndim == 2]
        assert [id(p) for p in optimizers[0].param_groups[0]["params"]] == hidden


def test_unknown_optimizer() -> None:
    with pytest.raises(InputError, match="sgd"):
        build_optimizers(nn.Linear(2, 2), "sgd", 1e-3, 0.0)


def test_without_tensorboard_the_log_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    log = Log(tmp_path / "log")
    log.scalars(1, {"loss": 1.0})
    log.image(1, "samples", np.zeros((2, 2, 3), np.uint8))
    log.close()
    assert not (tmp_path / "log").exists()


def test_muon_for_a_network_without_hidden_matrices_is_refused() -> None:
    network = PointNet2Config(classes=2, width=0.125).build()
    with pytest.raises(InputError, match="optimizer muon: expected a network with hidden matrices, found a PointNet2"):
        build_optimizers(network, "muon", 1e-3, 0.0)
    (adamw,) = build_optimizers(network, "adamw", 1e-3, 0.0)
    assert sum(len(group["params"]) for group in adamw.param_groups) == len(list(network.parameters()))
