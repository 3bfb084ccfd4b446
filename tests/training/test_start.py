"""What a run starts from, and what its weights' header then says."""

from __future__ import annotations

from typing import Any

from enpointe.training.start import inherit


def test_a_fine_tuned_network_still_knows_what_it_knew() -> None:
    info: dict[str, Any] = {
        "kind": "new",
        "nouns": ["auto", "car", "shop"],
        "vocabulary": [{"names": ["car", "auto"], "parts": ["wheels"]}, {"names": ["shop"]}],
    }
    earlier = {
        "kind": "old",
        "nouns": ["boat", "car"],
        "vocabulary": [{"names": ["boat"], "parts": ["a mast"]}, {"names": ["car"], "parts": ["doors", "wheels"]}],
    }
    inherit(info, earlier)
    assert info == {
        "kind": "new",
        "nouns": ["auto", "boat", "car", "shop"],
        "vocabulary": [
            {"names": ["boat"], "parts": ["a mast"]},
            {"names": ["car", "auto"], "parts": ["wheels", "doors"]},
            {"names": ["shop"]},
        ],
    }


def test_a_network_without_words_has_none() -> None:
    info: dict[str, Any] = {"kind": "sdf"}
    inherit(info, {"config": {}})
    assert info == {"kind": "sdf"}
