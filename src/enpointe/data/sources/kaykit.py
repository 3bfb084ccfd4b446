"""KayKit packs: folders of glTF models that are named after what they show (CC0)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from enpointe.core.errors import InputError
from enpointe.data.assets import Asset
from enpointe.data.plurals import plural
from enpointe.data.sources import SOURCES, Source, existing_folder
from enpointe.io.assets.files import FolderFiles, read_bounded
from enpointe.io.assets.limits import LIMITS, AssetLimits

if TYPE_CHECKING:
    from enpointe.io.assets.model import Model

CHARACTERS = ("barbarian", "knight", "mage", "rogue")
"""Their files also hold all the weapons of their kind, lying over each other in their hands."""

_COLORS = ("blue", "brown", "green", "red", "white", "yellow", "gold")
_JOINED = {
    "cuttingboard": "cutting board", "dishrack": "dish rack", "extractorhood": "extractor hood",
    "firehydrant": "fire hydrant", "kitchencabinet": "kitchen cabinet", "kitchencounter": "kitchen counter",
    "kitchentable": "kitchen table", "papertowel": "paper towel", "pictureframe": "picture frame",
    "smokebomb": "smoke bomb", "spellbook": "spell book", "streetlight": "street light",
    "towelrail": "towel rail", "trafficlight": "traffic light", "watertower": "water tower",
    "box": "box", "stairs": "staircase", "colum": "column", "trash": "trash can", "coin": "coin",
}  # fmt: skip
_ADJECTIVES = {
    "badge": "heraldic", "round": "round", "square": "square", "spikes": "spiked", "lit": "burning", "melted": "melted",
    "thin": "thin", "triple": "triple", "broken": "broken", "dirty": "dirty", "double": "double", "single": "single",
    "standing": "standing", "oval": "oval", "rectangle": "rectangular", "stripes": "striped", "low": "low",
    "long": "long", "hooded": "hooded", "1handed": "one-handed", "2handed": "two-handed", "open": "open",
    "closed": "closed", "half": "half", "narrow": "narrow", "wide": "wide", "wood": "wooden", "curved": "curved",
    "labeled": "labelled", "empty": "empty", "full": "full", "hanging": "hanging", "mounted": "wall-mounted",
    "corner": "corner", "innercorner": "corner", "outercorner": "corner", "chopped": "chopped", "mashed": "mashed",
    "cooked": "cooked", "uncooked": "raw", "trash": "burnt", "decorated": "decorated", "barbarian": "barbarian",
}  # fmt: skip
_TRAILING = {
    "pillows": "with pillows", "tablecloth": "with a tablecloth", "candles": "with candles", "stew": "of stew",
    "food": "of food", "plates": "with plates", "backsplash": "with a backsplash", "sink": "with a sink",
    "column": "with a column", "doorway": "with a doorway", "window": "with a window",
    "orderwindow": "with a serving window",
}  # fmt: skip
_GROUPS = {
    "stack": "stack of", "stacked": "stack of", "bundle": "bundle of", "slice": "slice of", "slices": "slices of",
    "pieces": "pieces of", "rings": "rings of",
}  # fmt: skip
_DROPPED = ("color", "small", "medium", "large", "big", "straight", "countertop", "withoutbase", "multi", "base")
_WHOLE = {
    # A few names put their noun last, or mean something else than their parts.
    "arrow_bundle": "bundle of arrows", "banner_shield": "banner with a shield", "base": "pavement tile",
    "book_set": "row of books", "box_small_decorated": "decorated box", "car_hatchback": "hatchback car",
    "car_police": "police car", "car_sedan": "sedan car", "car_stationwagon": "station wagon car",
    "car_taxi": "taxi car",
    "bed_frame": "bed frame", "barrier_colum_half": "half barrier with a column", "book_single": "book",
    "chair_stool": "stool", "food_burger": "burger","chest_gold": "chest of gold", "crates_stacked": "stack of crates",
    "chair_stool_wood": "wooden stool", "crate_buns": "crate of buns", "crate_cheese": "crate of cheese",
    "crate_lid": "crate lid", "floor_kitchen": "kitchen floor tile",
    "floor_kitchen_small": "kitchen floor tile", "food_dinner": "plate of dinner", "food_stew": "bowl of stew",
    "food_vegetableburger": "vegetable burger", "ketchup": "ketchup bottle", "mustard": "mustard bottle",
    "lamp_table": "table lamp", "lid_large": "pot lid",
    "lid": "pot lid", "mug_full": "mug of beer", "pot_large": "cooking pot", "pot": "cooking pot", "pan": "frying pan",
    "pan_006": "frying pan", "road_corner": "road corner", "road_corner_curved": "curved road",
    "road_junction": "road crossing", "road_straight_crossing": "road with a pedestrian crossing",
    "road_tsplit": "road junction", "rubble_half": "pile of rubble", "rubble_large": "pile of rubble",
    "shelf_papertowel": "shelf with a paper towel", "shelf_papertowel_decorated": "decorated shelf with a paper towel",
    "stew_bowl": "bowl of stew", "stew_pot": "pot of stew", "stove_single": "stove", "sword_shield": "sword and shield",
    "sword_shield_broken": "broken sword and shield", "sword_shield_gold": "golden sword and shield",
    "table_medium_long": "long table", "bun_top": "top of a bun", "bun_bottom": "bottom of a bun",
    "vegetableburger_cooked": "vegetable burger patty", "vegetableburger_uncooked": "raw vegetable burger patty",
    "burger_cooked": "burger patty", "burger_uncooked": "raw burger patty", "burger_trash": "burnt burger patty",
    "wall_window_open": "wall with an open window", "wall_window_closed": "wall with a closed window",
    "wall_decorated": "decorated wall", "trash": "trash bag", "extractorhood": "extractor hood",
}  # fmt: skip
_BROADER = {
    "burger": "burger", "car": "car", "knight": "person", "barbarian": "person", "mage": "wizard", "rogue": "thief",
    "couch": "sofa", "keg": "barrel", "dagger": "knife", "trunk": "chest", "pillar": "column", "cooking pot": "pot",
    "frying pan": "pan", "station wagon car": "car", "staircase": "stairs", "plate of dinner": "dinner",
}  # fmt: skip


@SOURCES.register("kaykit")
@dataclass(frozen=True)
class KayKit(Source):
    """All models in the packs below a folder, by name."""

    def open(self, path: Path | None = None, limits: AssetLimits = LIMITS) -> list[Asset]:
        folder = existing_folder(path, "kaykit")
        files = sorted(file for file in folder.glob("*/*") if file.suffix in (".gltf", ".glb"))
        if not files:
            raise InputError(f"{folder}: expected folders of .gltf or .glb models, found none")
        return [_asset(file, limits) for file in files]


def clean_name(stem: str) -> tuple[str, tuple[str, ...]]:
    """A file's stem -> (plain words, nouns without color, size and decoration, closest first).

    "crate_carrots" -> ("crate of carrots", ("crate of carrots", "crate")); "chair_A" -> ("chair", ("chair",)).
    """
    tokens = [token for token in stem.split("_") if not re.fullmatch(r"(pattern)?[A-Z]|\d+", token)]
    tokens = [token.lower() for token in tokens]
    if tokens[:2] == ["food", "ingredient"]:
        tokens = tokens[2:]
    color = [token for token in tokens if token in _COLORS]
    tokens = [token for token in tokens if token not in _COLORS] if "_".join(tokens) not in _WHOLE else tokens
    if "_".join(tokens) in _WHOLE:
        noun = _WHOLE["_".join(tokens)]
        words = noun if noun.startswith(("golden", "chest of gold")) else " ".join([*color, noun])
        return words, _nouns(noun)
    head, *rest = tokens
    noun = _JOINED.get(head, head)
    if head == "crate" and rest:
        noun, rest = f"crate of {rest[0]}", rest[1:]
    rest = [token for token in rest if token not in _DROPPED]
    for token in rest:
        if token in _GROUPS:
            one = token in ("slice",) or noun.endswith(("s", "ham", "cheese", "lettuce", "steak"))
            noun = f"{_GROUPS[token]} {noun if one else plural(noun)}"
    adjectives = [_ADJECTIVES[token] for token in rest if token in _ADJECTIVES]
    trailing = [_TRAILING[token] for token in rest if token in _TRAILING]
    unknown = [token for token in rest if token not in {*_ADJECTIVES, *_TRAILING, *_GROUPS}]
    phrase = " ".join([*unknown, noun, *trailing])
    return " ".join([*color, *adjectives, phrase]), _nouns(phrase)


def _nouns(phrase: str) -> tuple[str, ...]:
    """The phrase, what it holds less and less exactly: "stack of boxes" stays, "bowl of stew" is also a bowl."""
    words = [phrase]
    base = re.split(r" (?:with|of) ", phrase)[0]
    if base not in ("stack", "bundle", "slice", "slices", "pieces", "rings", "row", "pile", "top", "bottom", phrase):
        words.append(base)
    words += [_BROADER[word] for word in tuple(words) if word in _BROADER]
    last = phrase.rsplit(" ", 1)[-1]
    if (
        last in ("car", "lamp", "bun", "bed", "table", "cabinet", "counter", "tower", "stool", "bottle")
        and last not in words
    ):
        words.append(last)
    return tuple(dict.fromkeys(words))


def _asset(path: Path, limits: AssetLimits) -> Asset:
    stem = re.sub(r"\.(gltf|glb)", "", path.name)
    name, nouns = clean_name(stem)
    licence, creator = _attribution(path.parent / "LICENSE.txt")
    pack = path.parent.name
    return Asset(
        key=f"kaykit/{pack}/{stem}", name=name, nouns=nouns, tags=(), category=pack.replace("-", " "),
        licence=licence, creator=creator, source=f"KayKit {pack}", load=partial(_load, path, limits),
    )  # fmt: skip


def _attribution(path: Path) -> tuple[str, str]:
    if not path.is_file():
        return "unknown", "unknown"
    text = read_bounded(path).decode("utf-8", "replace")
    creator = re.search(r"[Cc]reated(?:/distributed)? by ([^(\n]+)", text)
    return "CC0-1.0" if "CC0" in text else "unknown", creator[1].strip() if creator else "unknown"


def _load(path: Path, limits: AssetLimits) -> Model:
    from enpointe.io.formats import read_model

    character = path.stem.split("_")[0].lower()

    def keep(node: str) -> bool:
        own = node.lower().startswith(character) and "shield" not in node.lower()
        return own or character not in CHARACTERS

    files = FolderFiles(path.parent, limits)
    return read_model(files.get(path.name), path.suffix.lower(), files, limits=limits, keep=keep, palette=True)
