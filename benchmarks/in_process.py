"""One process that makes several clouds; generate.py and memory.py run it. Prints one line of JSON."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", nargs="+", default=["a pink motorcycle", "a blue chair", "a green tree"])
    parser.add_argument("--points", type=int, default=4096)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--grid", type=int, default=0, help="also make meshes on such a grid")
    parser.add_argument("--return-freed-memory", action="store_true", help="leave the C library as it is")
    options = parser.parse_args()
    start = time.perf_counter()
    import torch

    from enpointe.checkpoints.registry import MODELS
    from enpointe.core.device import keep_freed_memory
    from enpointe.pipelines.families.pocket.pipeline import PocketPipeline

    if not options.return_freed_memory:
        keep_freed_memory()
    pipeline = PocketPipeline(MODELS["pocket"], torch.device("cpu"))  # what load() gives, but for the line above
    result: dict[str, Any] = {
        "import": time.perf_counter() - start, "threads": torch.get_num_threads(), "clouds": [], "meshes": [],
    }  # fmt: skip
    for seed, prompt in enumerate(options.prompts):
        start = time.perf_counter()
        cloud = pipeline.generate(prompt, seed=seed, n_points=options.points, steps=options.steps).cloud
        result["clouds"].append(time.perf_counter() - start)
        if options.grid:
            start = time.perf_counter()
            pipeline.mesh(cloud, grid_size=options.grid)
            result["meshes"].append(time.perf_counter() - start)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
