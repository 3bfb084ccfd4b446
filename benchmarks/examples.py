"""The release's three published examples as they are published, at true sizes: minutes from import to figure.

Each script of tests/compat/examples runs unchanged, in its own process and in a folder that holds what the downloads
would have brought: checkpoints of the release's form in point_e_model_cache/ and a CLIP ViT-L/14 folder, all of true
sizes and with random weights, so that the clouds mean nothing.

    python -m benchmarks.examples --folder /tmp/examples --data ../shared/data
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import Report, arguments, limit_cores

HERE = Path(__file__).resolve().parents[1]
SCRIPTS = HERE / "tests" / "compat" / "examples"
EXAMPLES = ("pointcloud2mesh", "text2pointcloud", "image2pointcloud")
CHECKPOINTS = ("base40M-textvec", "base40M", "upsample", "sdf")
SAVE_FIGURE = (
    "import runpy, sys; left = runpy.run_path(sys.argv[1]); "
    "left['fig'].savefig(sys.argv[2], dpi=60); left['pc'].save(sys.argv[3])"
)
MARKS = ("<|startoftext|>", "<|endoftext|>")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the examples run; checkpoints in it are kept")
    parser.add_argument("--data", type=Path, required=True, help="folder with cube_stack.jpg and pc_corgi.npz")
    parser.add_argument("--only", choices=EXAMPLES)
    options = parser.parse_args()
    limit_cores(options.cores)
    prepare(options.folder, options.data)
    report = Report("examples", options)
    names = [options.only] if options.only else list(EXAMPLES)
    report.table("as published", [run(name, options.folder) for name in names])
    report.save()


def prepare(folder: Path, data: Path) -> None:
    """The working directory: the examples' own data, checkpoints, CLIP."""
    from point_e.models.configs import MODEL_CONFIGS, model_from_config
    from point_e.models.download import MODEL_PATHS

    examples, cache = folder / "example_data", folder / "point_e_model_cache"
    for made in (examples, cache):
        made.mkdir(parents=True, exist_ok=True)
    for name in ("cube_stack.jpg", "pc_corgi.npz"):
        shutil.copy(data / name, examples / name)
    torch.manual_seed(0)
    for name in CHECKPOINTS:
        path = cache / MODEL_PATHS[name].rsplit("/", 1)[-1]
        if not path.exists():
            network = model_from_config(MODEL_CONFIGS[name], "cpu")
            torch.nn.init.normal_(network.output_proj.weight, std=0.01)
            torch.save(network.state_dict(), path)
    if not (folder / "clip" / "config.json").exists():
        make_clip(folder / "clip")


def make_clip(folder: Path) -> None:
    """ViT-L/14's sizes, and a vocabulary of bytes, padded to the true length with words that no text holds."""
    from transformers import CLIPConfig, CLIPModel

    folder.mkdir()
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(byte) for byte in printable] + [chr(256 + index) for index in range(256 - len(printable))]
    words = [*letters, *(f"{letter}</w>" for letter in letters)]
    words += [f"unused{index}" for index in range(49_408 - len(words) - len(MARKS))]
    vocabulary = {word: index for index, word in enumerate([*words, *MARKS])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    marks = dict(zip(("bos_token", "eos_token", "unk_token", "pad_token"), (MARKS[0], *[MARKS[1]] * 3), strict=True))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer", **marks}))
    text = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
    ids = {"vocab_size": 49_408, "bos_token_id": 49_406, "eos_token_id": 49_407, "pad_token_id": 49_407}
    vision = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
    config = CLIPConfig(
        text_config=text | ids, vision_config={**vision, "image_size": 224, "patch_size": 14}, projection_dim=768
    )
    CLIPModel(config).save_pretrained(folder)


def run(name: str, folder: Path) -> dict[str, Any]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(HERE / "src"),
        "MPLBACKEND": "Agg",
        "ENPOINTE_OFFLINE": "1",
        "ENPOINTE_CLIP": str(folder.resolve() / "clip"),
    }
    command = [sys.executable, "-c", SAVE_FIGURE, str(SCRIPTS / f"{name}.py"), f"{name}.png", f"{name}.npz"]
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True)
    return {"example": name, "minutes": round((time.perf_counter() - began) / 60, 1)}


if __name__ == "__main__":
    main()
