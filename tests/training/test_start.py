"""What a run starts from, and what its weights' header then says."""

from __future__ import annotations

import json
from typing import Any

from enpointe.training.start import inherit


def info_of(things: list[dict[str, list[str]]]) -> dict[str, Any]:
    """A header of these things, as JSON holds it."""
    empty: dict[str, list[str]] = {"adjectives": [], "parts": [], "phrases": [], "materials": []}
    nouns = sorted(name for thing in things for name in thing["names"])
    return {"kind": "new", "nouns": nouns, "vocabulary": [{**empty, **thing} for thing in things]}


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
    assert json.loads(json.dumps(info)) == info_of(
        [
            {"names": ["boat"], "parts": ["a mast"]},
            {"names": ["car", "auto"], "parts": ["wheels", "doors"]},
            {"names": ["shop"]},
        ]
    )


def test_weights_that_list_their_nouns_alone_and_data_without_any() -> None:
    info: dict[str, Any] = {"kind": "new", "nouns": [], "vocabulary": []}
    inherit(info, {"nouns": ["car", "gizmo"]})
    assert info["nouns"] == ["car", "gizmo"]
    car, gizmo = info["vocabulary"]
    assert (car["names"][0], gizmo["names"]) == ("car", ("gizmo",))
    assert "wheels" in car["parts"]


def test_a_network_without_words_has_none() -> None:
    info: dict[str, Any] = {"kind": "sdf"}
    inherit(info, {"config": {}})
    assert info == {"kind": "sdf"}
