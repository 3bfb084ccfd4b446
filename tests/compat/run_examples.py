"""Runs the examples named on the command line, in the working directory, with tiny networks and few steps.

Before anything of the release is imported the presets are made narrow and shallow, random weights of that size are
laid into point_e_model_cache, and CLIP is replaced; the examples themselves are untouched.
"""

from __future__ import annotations

import runpy
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from enpointe.checkpoints import released as presets
from enpointe.encoders import clip as clip_module

TINY: dict[str, Any] = {"width": 16, "layers": 1, "heads": 2}
STEPS = (3, 2)


class FakeClip:
    """In place of CLIP's 1.7 GB: vectors and grids of its sizes."""

    def texts(self, prompts: list[str]) -> Tensor:
        assert prompts == ["a red motorcycle"]
        return torch.ones(1, 768) / 768**0.5

    def grids(self, images: list[Any]) -> Tensor:
        assert [image.size for image in images] == [(64, 48)]
        return torch.randn(1, 1024, 256)


for name, model in presets.RELEASED.items():
    presets.RELEASED[name] = replace(model, config=replace(model.config, **TINY))
presets.RELEASED_SDF = replace(
    presets.RELEASED_SDF, width=16, encoder_layers=1, encoder_heads=2, decoder_layers=1, decoder_heads=2
)
clip_module.clip = lambda device: FakeClip()  # type: ignore[assignment]

from point_e.diffusion.sampler import PointCloudSampler  # noqa: E402 - after the presets are small
from point_e.models.configs import MODEL_CONFIGS, model_from_config  # noqa: E402
from point_e.models.download import MODEL_PATHS, default_cache_dir  # noqa: E402

defaults = list(PointCloudSampler.__init__.__defaults__ or ())
defaults[defaults.index((64, 64))] = STEPS
PointCloudSampler.__init__.__defaults__ = tuple(defaults)

torch.manual_seed(0)
cache = Path(default_cache_dir())
cache.mkdir()
for name in ("base40M-textvec", "base40M", "upsample", "sdf"):
    network = model_from_config(MODEL_CONFIGS[name], "cpu")
    torch.nn.init.normal_(network.output_proj.weight, std=0.1)
    torch.save(network.state_dict(), cache / MODEL_PATHS[name].rsplit("/", 1)[-1])

for example in map(Path, sys.argv[1:]):
    left = runpy.run_path(str(example))
    left["fig"].savefig(f"{example.stem}.png", dpi=20)
    left["pc"].save(f"{example.stem}.npz")
