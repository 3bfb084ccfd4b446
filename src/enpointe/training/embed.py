"""Put a run's best weights into the package: python -m enpointe.training.embed RUN MEMBER."""

from __future__ import annotations

import argparse
from pathlib import Path

from enpointe.models.embedded import embedded_path
from enpointe.models.weights import Storage, read_weights, save_weights

MEMBERS = ("base", "up", "sdf", "joint")


def embed(best: Path, member: str, storage: Storage = "float16") -> Path:
    """Write trained weights as one of the embedded family's files.

    Args:
        best: a run's best.safetensors.
        member: one of MEMBERS.
        storage: float16 rounds each weight by at most 1 part in 2,000, far below what training leaves open.
    """
    weights = read_weights(best)
    path = embedded_path(member)
    save_weights(path, weights.state, weights.info, storage)
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a run")
    parser.add_argument("member", choices=MEMBERS)
    options = parser.parse_args()
    print(embed(options.run / "best.safetensors", options.member))
