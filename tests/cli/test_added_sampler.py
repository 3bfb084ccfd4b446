"""A sampler that is added as one file is found through Python and on the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from enpointe.cli import main
from enpointe.diffusion import samplers
from enpointe.diffusion.sampler import make_sampler, samplers_in
from enpointe.diffusion.samplers import SAMPLERS
from enpointe.diffusion.schedule import KarrasSchedule

SOURCE = """
from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from enpointe.diffusion.sampler import Sampler
from enpointe.diffusion.samplers import SAMPLERS
from enpointe.diffusion.step import Step, slope


@SAMPLERS.register("plain_euler")
@dataclass(frozen=True)
class PlainEuler(Sampler):
    stretch: float = 1.0

    def evaluations(self, steps):
        return steps

    def __call__(self, denoiser, x, sigmas, *, noise):
        denoised = x
        for i, (sigma, below) in enumerate(pairwise(sigmas.tolist())):
            denoised = denoiser(x, sigma)
            yield Step(x, denoised, sigma, i)
            x = x + self.stretch * (below - sigma) * slope(x, denoised, sigma)
        yield Step(x, denoised, float(sigmas[-1]), len(sigmas) - 1)
"""
NAME = "plain_euler"


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / f"{NAME}.py").write_text(SOURCE)
    monkeypatch.setattr(samplers, "__path__", [*samplers.__path__, str(tmp_path)])
    yield
    SAMPLERS.unregister(NAME)
    del sys.modules[f"{samplers.__name__}.{NAME}"]


@pytest.mark.usefixtures("added")
def test_in_python() -> None:
    assert NAME in samplers_in("karras")
    sigmas, start = KarrasSchedule(0.1, 10.0)(6), torch.full((1, 3, 4, 4), 10.0)
    ends = []
    for name, options in ((NAME, {"stretch": 1.0}), ("ancestral", {"eta": 0.0})):  # the same method
        *_, last = make_sampler(name, **options)(lambda x, sigma: x / (1 + sigma), start, sigmas, noise=torch.zeros)
        ends.append(last.x)
    torch.testing.assert_close(*ends)


@pytest.mark.usefixtures("added")
def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["generate", "--help"])
    assert NAME in capsys.readouterr().out
    out = str(tmp_path / "out")
    settings = ["--steps", "2", "--points", "64", "--no-mesh", "--device", "cpu", "--out", out]
    assert main(["generate", "a dog", "--sampler", NAME, *settings]) == 0
    assert json.loads((tmp_path / "out" / "meta.json").read_text())["settings"]["sampler"] == NAME
    with np.load(tmp_path / "out" / "cloud.npz") as cloud:
        assert all(np.isfinite(values).all() and len(values) == 64 for values in cloud.values() if values.ndim == 2)


def test_before_it_is_added(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "a dog", "--sampler", NAME]) == 2
    assert f"invalid choice: '{NAME}'" in capsys.readouterr().err
