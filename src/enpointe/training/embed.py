"""Put a run's best weights into the package: python -m enpointe.training.embed RUN MEMBER [--quality FILE]."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from enpointe.checkpoints.embedded import embedded_path
from enpointe.checkpoints.weights import Storage, read_weights, save_weights
from enpointe.core.files import replacing
from enpointe.pipelines.families.pocket.things import VOCABULARY

MEMBERS = ("layout", "detail", "up", "sdf", "joint", "classifier")


def embed(best: Path, member: str, storage: Storage = "float16", quality: Mapping[str, Any] | None = None) -> Path:
    """Write trained weights as one of the embedded family's files; their header stays, with what the model knows.

    What the layout network knows is also written where it can be read without PyTorch, see `embedded_things`.

    Args:
        best: a run's best.safetensors.
        member: one of MEMBERS.
        storage: float16 rounds each weight by at most 1 part in 2,000, far below what training leaves open.
        quality: what was measured; the header gets it under that name.
    """
    weights = read_weights(best)
    path = embedded_path(member)
    save_weights(
        path, weights.state, weights.info if quality is None else {**weights.info, "quality": dict(quality)}, storage
    )
    if member == "layout":
        write_vocabulary(weights.info["vocabulary"])
    return path


def write_vocabulary(things: Sequence[Mapping[str, Any]]) -> None:
    """The packaged list of things: by usual noun, a line each."""
    lines = [f"  {json.dumps(thing['names'][0])}: {json.dumps(thing)}" for thing in things]
    with replacing(VOCABULARY) as file:
        file.write(("{\n" + ",\n".join(lines) + "\n}\n").encode())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a run")
    parser.add_argument("member", choices=MEMBERS)
    parser.add_argument("--quality", type=Path, help="JSON, such as a benchmark's summary")
    parser.add_argument("--storage", choices=get_args(Storage), default="float16")
    options = parser.parse_args()
    measured = None if options.quality is None else json.loads(options.quality.read_text())
    print(embed(options.run / "best.safetensors", options.member, options.storage, measured))
