"""A CLIP of a few channels with random weights, as a folder that ENPOINTE_CLIP may name."""

from __future__ import annotations

import json
from pathlib import Path

import torch

PROJECTION, VISION, SIZE, PATCH, CONTEXT = 24, 32, 56, 14, 77
START, END = "<|startoftext|>", "<|endoftext|>"


def save_tiny_clip(folder: Path) -> None:
    """Writes network and tokenizer."""
    from transformers import CLIPConfig, CLIPModel

    _save_tokenizer(folder)
    small = {"intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = {"hidden_size": 16, "vocab_size": 516, "bos_token_id": 514, "eos_token_id": 515, "pad_token_id": 515}
    vision = {"hidden_size": VISION, "image_size": SIZE, "patch_size": PATCH}
    torch.manual_seed(0)
    config = CLIPConfig(text_config=text | small, vision_config=vision | small, projection_dim=PROJECTION)
    model = CLIPModel(config)
    with torch.no_grad():  # biases, too, and weights large enough for everything to matter
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder)


def _save_tokenizer(folder: Path) -> None:
    """CLIP's kind of vocabulary: bytes, bytes that end a word, one merge, the two marks last."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]
    vocabulary = [*letters, *(letter + "</w>" for letter in letters), "re", "red</w>", START, END]
    (folder / "vocab.json").write_text(json.dumps({token: index for index, token in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("#version: 0.2\nr e\nre d</w>\n")
    marks = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer", **marks}))
