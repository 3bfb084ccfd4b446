"""Plain words out of file names and captions: no brands, no numbers, no leftovers of tools."""

from __future__ import annotations

import re
from urllib.parse import unquote

MAX_CAPTION = 500
"""Characters of a caption that are kept, cut between words."""

_BRANDS = {
    # One kind of thing: the brand stands for it.
    "car": "audi, bmw, chevrolet, chevy, citroen, citroën, dodge, fiat, hyundai, kia, mazda, mercedes, mercedes-benz, "
    "nissan, opel, peugeot, renault, seat leon, skoda, subaru, suzuki swift, tesla, toyota, volkswagen, vw, volvo, "
    "ford focus, ford fiesta, ford mustang, honda civic, mini cooper, delorean, cadillac, buick, lexus",
    "sports car": "aston martin, bugatti, corvette, ferrari, lamborghini, maserati, mclaren, pagani, porsche, "
    "koenigsegg",
    "luxury car": "bentley, rolls-royce, rolls royce, maybach",
    "off-road car": "hummer, humvee, jeep, land rover, range rover",
    "motorcycle": "ducati, harley, harley-davidson, harley davidson, kawasaki",
    "scooter": "vespa, lambretta",
    "tractor": "john deere, massey ferguson, fendt",
    "excavator": "komatsu",
    "jet airliner": "airbus, boeing, concorde",
    "fighter jet": "f-16, f-22, f-35, mig-29, su-27, eurofighter",
    "propeller aeroplane": "cessna, spitfire, messerschmitt",
    "assault rifle": "ak-47, ak47, kalashnikov, m4a1, m16, ar-15",
    "pistol": "glock, beretta, desert eagle, walther",
    "submachine gun": "uzi, mp5",
    "smartphone": "iphone, galaxy s, google pixel, oneplus, xiaomi",
    "tablet computer": "ipad",
    "laptop": "macbook, macbook pro, macbook air, thinkpad, ibook",
    "desktop computer": "imac, commodore 64, macintosh",
    "music player": "ipod, walkman",
    "smartwatch": "apple watch",
    "wristwatch": "rolex, omega speedmaster, swatch",
    "earphones": "airpods",
    "game console": "playstation, ps1, ps2, ps3, ps4, ps5, xbox, nintendo switch, nintendo 64, wii, gameboy, "
    "game boy, sega genesis, atari, steam deck",
    "puzzle cube": "rubik's cube, rubiks cube, rubik cube",
    "doll": "barbie",
    "toy car": "hot wheels",
    "cola": "coca-cola, coca cola, coke, pepsi, pepsi-cola",
    "lemonade": "sprite can, fanta, 7up",
    "energy drink": "red bull, monster energy",
    "sparkling water": "perrier",
    "whisky": "jack daniels, jack daniel's, johnnie walker",
    "vodka": "absolut",
    "beer": "heineken, budweiser, guinness, corona beer",
    "coffee cup": "starbucks",
    "fast food restaurant": "mcdonalds, mcdonald's, burger king, kfc",
    "chocolate bar": "snickers, kitkat, kit kat, toblerone, twix",
    "sneaker": "air jordan, air force 1, adidas superstar, vans old skool",
    "electric guitar": "stratocaster, telecaster, les paul, gibson sg",
    "armchair": "eames lounge chair, barcelona chair",
    "ballpoint pen": "bic pen",
    "soldering iron": "weller",
    "multi-tool": "leatherman, swiss army knife",
    "vacuum cleaner": "dyson, roomba, hoover",
    "plastic box": "tupperware",
    "single-board computer": "raspberry pi, arduino, arduino uno",
    "robot vacuum cleaner": "roborock",
}  # fmt: skip
_MAKERS = {
    # Many kinds of things: the name goes where a noun follows, else this is said.
    "adidas": "shoe", "apple inc": "computer", "asus": "laptop", "bosch": "power tool", "braun": "shaver",
    "canon": "camera", "caterpillar": "excavator", "dell": "computer", "dewalt": "power tool", "electrolux": "oven",
    "ford": "car", "gopro": "camera", "gucci": "handbag", "honda": "motorcycle", "hp": "computer", "ikea": "furniture",
    "intel": "processor", "jbl": "loudspeaker", "kitchenaid": "food mixer", "k'nex": "construction toy",
    "kodak": "camera", "lego": "plastic bricks", "duplo": "plastic bricks", "playmobil": "construction toy",
    "leica": "camera",
    "lenovo": "laptop", "logitech": "computer mouse", "louis vuitton": "handbag", "makita": "power tool",
    "microsoft": "computer", "milwaukee": "power tool", "motorola": "phone", "nike": "shoe", "nikon": "camera",
    "nintendo": "game console", "nokia": "phone", "nvidia": "graphics card", "panasonic": "camera",
    "philips": "lamp", "polaroid": "camera", "prada": "handbag", "puma shoes": "shoes", "ray-ban": "sunglasses",
    "razer": "computer mouse", "reebok": "shoe", "samsung": "phone", "sennheiser": "headphones", "siemens": "machine",
    "sony": "camera", "stihl": "chainsaw", "suzuki": "motorcycle", "yamaha": "motorcycle", "zippo": "lighter",
}  # fmt: skip
_NOUN_OF = {brand.strip(): noun for noun, brands in _BRANDS.items() for brand in brands.split(",")} | _MAKERS
_FOLLOWS_NO_NOUN = r"(?:with|and|or|of|in|on|at|from|under|near|by|for|to|is|are|the|a|an|parked|standing|lying)\b"
_BRAND = re.compile(
    r"(?P<article>\ban? )?(?<![\w-])(?P<brand>" + "|".join(map(re.escape, sorted(_NOUN_OF, key=len, reverse=True)))
    # A model's name behind the brand: "911", "X5", "Corolla".
    + r")(?P<own>'s|s)?(?![\w'-])(?P<number>(?: (?=[\w-]*\d)[\w-]+)*)(?P<name>(?-i:(?: [A-Z][\w-]*)*))"
    + r"(?P<next> (?!" + _FOLLOWS_NO_NOUN + r")[^\W\d]{2,})?",
    re.IGNORECASE,
)  # fmt: skip
_NOISE = frozenset((
    "3d", "asset", "blend", "blender", "copy", "dae", "export", "exported", "fbx", "final", "free", "game", "glb",
    "gltf", "hd", "highpoly", "highres", "hires", "lod", "low", "lowpoly", "lowres", "mat", "material", "max", "mesh",
    "model", "models", "normalized", "obj", "object", "ply", "poly", "ready", "remesh", "scan", "scene", "sf",
    "sketchfab", "source", "stl", "test", "texture", "textured", "textures", "tmp", "triangulated", "unity", "unreal",
    "untitled", "version",
))  # fmt: skip


def plain(caption: str) -> str:
    """A caption without brands and breaks: "A red Ferrari 458, parked" -> "A red sports car, parked".

    A brand that names a thing becomes the thing; one that stands before the thing's own noun goes.
    """
    text = re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in caption)).strip()
    text = _BRAND.sub(_unbranded, text)
    if len(text) > MAX_CAPTION:
        text = text[:MAX_CAPTION].rsplit(" ", 1)[0]
    return text


def _unbranded(match: re.Match[str]) -> str:
    brand, following = match["brand"].lower(), match["next"] or ""
    noun = _NOUN_OF[brand]
    if brand in _MAKERS and match["name"]:
        following = match["name"] + following  # a noun in capitals, most likely
    rest = match.string[match.end("number") :].lower()
    soon = re.findall(r"\w+", re.split(r"[,.;:]|\b(?:with|and|on|in|of)\b", rest)[0])[:4]
    if following and (brand in _MAKERS or noun.split()[-1] in soon):
        said = following.strip()
    else:
        said = noun + ("s" if match["own"] == "s" else "") + following
    article = match["article"] or ""
    if article:
        new = "an " if said[0].lower() in "aeiou" else "a "
        article = new.capitalize() if article[0].isupper() else new
    return article + said


def words_of_path(parts: tuple[str, ...]) -> str:
    """Plain words out of a path's parts without suffix, the file's name last.

    ("furniture", "Wooden_Chair-02_lowpoly") -> "wooden chair". Where the name says nothing ("0001", a
    checksum), the folder's does; "" where none does.
    """
    for part in reversed(parts):
        words = plain(" ".join(_tokens(part)))
        if words:
            return words.lower()
    return ""


def _tokens(name: str) -> list[str]:
    spaced = re.sub(r"[^\w\s]|_", " ", unquote(name))
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", spaced)
    found = []
    for token in spaced.split():
        plain_token = re.sub(r"(?<=[^\W\d])\d+$", "", token).lower()
        is_sum = len(token) >= 8 and re.fullmatch(r"[0-9a-fA-F]+", token) and re.search(r"\d", token)
        if is_sum or not re.search(r"[^\W\d]", plain_token) or len(plain_token) == 1 or plain_token in _NOISE:
            # A number may belong to a brand before it, which takes it away: "iphone 12".
            continue
        found.append(plain_token)
    # A checksum that has been taken apart at its dashes leaves scraps such as "ab f".
    return [] if re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", name) else found
