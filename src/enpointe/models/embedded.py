"""The weights that come with the package: the `pocket` family and its text encoder."""

from __future__ import annotations

from functools import lru_cache

import torch
from tokenizers import Tokenizer

from enpointe.conditioning.minilm import TextEncoder
from enpointe.errors import WeightsError
from enpointe.models.weights import ASSETS, load_into, read_weights
from enpointe.nn.text_encoder import BertEncoder


@lru_cache(maxsize=2)
def text_encoder(device: torch.device) -> TextEncoder:
    """The embedded all-MiniLM-L6-v2, loaded once for each device.

    Raises:
        WeightsError: its files are missing or damaged.
    """
    path = ASSETS / "minilm.safetensors"
    with torch.device("meta"):
        network = BertEncoder()
    network.to_empty(device="cpu")
    load_into(network, read_weights(path), path)
    try:
        tokenizer = Tokenizer.from_file(str(ASSETS / "minilm-tokenizer.json"))
    except Exception as error:
        raise WeightsError(f"minilm-tokenizer.json: expected a tokenizer, found {error}") from error
    return TextEncoder(network.to(device), tokenizer)
