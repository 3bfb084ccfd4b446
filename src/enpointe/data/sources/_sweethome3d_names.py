"""Sweet Home 3D's catalog names as plain words: no brands, no numbers, no translator's slips."""

from __future__ import annotations

import re

_BY_NAME = {
    # Brands and makers' names.
    "apple ibook": "laptop", "apple imac 1998": "desktop computer", "apple imac 2004": "desktop computer",
    "apple iphone": "smartphone", "chevrolet": "car", "ford focus": "car", "peugeot 308 cc": "convertible car",
    "playstation": "game console", "renault scenic": "minivan", "rubik's cube": "puzzle cube", "seat leon": "car",
    "smart car": "small car", "vw new beetle": "round car", "winchester armchair": "leather armchair",
    "winchester sofa": "leather sofa", "yamaha yzr r6": "sports motorcycle", "osaka chair": "chair",
    "convertible sofa bz": "sofa bed", "opened convertible sofa bz": "open sofa bed",
    "frame chambord": "picture frame", "frame hôi an": "picture frame",
    "concept sedan 02 sport": "sports car", "concept sedan": "sedan car",
    # Words that English uses otherwise.
    "barnum": "party tent", "bended coconut tree": "bent coconut tree", "bike": "bicycle", "bootie": "baby shoe",
    "bullet trash can": "trash can", "cap": "cap", "chest freezer": "chest freezer", "children game": "playground",
    "children chair": "child chair", "children table": "child table", "clear sofa": "sofa", "cone": "traffic cone",
    "clothes horse": "clothes drying rack", "creamer": "milk jug", "dart game": "dartboard", "flacon": "perfume bottle",
    "entry bell ring": "doorbell", "entry speech unit": "door intercom", "flipper": "pinball machine",
    "football table": "foosball table", "fork lift": "forklift", "gaz water heater": "gas water heater",
    "hashtray": "ashtray", "indoor bike": "exercise bike", "letters box": "mailbox", "lip stick": "lipstick",
    "little bank": "bench", "wood bank": "wooden bench", "mocassin": "moccasin", "mower": "lawn mower",
    "motorbike": "toy motorcycle", "park trashcan": "trash can", "residential trashcan": "trash can",
    "penbox": "pencil box",
    "puff": "pouf", "short": "shorts", "socket": "sock", "table tennis": "table tennis table",
    "table tennis bat": "table tennis bat", "teck chair": "teak chair", "text marker": "marker pen",
    "tool": "kitchen utensil", "toilets unit": "toilet", "trunck": "trunk", "tv 16:9": "TV", "tv": "TV",
    "wall flat tv": "flat TV", "led tv": "TV", "tv stand": "TV stand", "tv remote control": "TV remote control",
    "dvd player": "DVD player", "mp3 base": "music player dock", "mp3 station": "music player dock",
    "cctv": "surveillance camera", "suv": "SUV", "rigged fan": "fan", "woman shoes": "women's shoes",
    "basketball net": "basketball hoop", "video projector": "projector", "clothes washing machine": "washing machine",
    "dryer machine": "tumble dryer", "stone grill device": "stone grill", "teapot": "teapot", "tape": "adhesive tape",
    "male": "man", "female": "woman", "holding male": "man", "holding female": "woman",
    "sitting male": "sitting man", "sitting female": "sitting woman", "lying down male": "man lying down",
    "lying down female": "woman lying down", "lying down boy": "boy lying down",
    "mannequin male": "male mannequin", "mannequin female": "female mannequin", "mannequin": "mannequin",
    "air conditioning - external unit": "air conditioner", "air conditioning - internal unit": "air conditioner",
    "plate, glass and cutlery": "plate with a glass and cutlery",
    "plate, glasses and cutlery": "plate with glasses and cutlery",
    "cup cake": "cupcake", "technical table": "drafting table", "island": "kitchen island",
    "flower box": "planter", "plant box": "planter", "table on trestles": "trestle table",
    "inkjet printer and scanner": "printer", "punching ball": "punching bag", "class seat": "school chair",
    "oil servers": "oil and vinegar bottles", "wood toy": "wooden toy", "white board": "whiteboard",
    "turn window": "window", "sandpit": "sandbox", "mezzanine bed": "loft bed", "little plant": "small plant",
    "wall light": "wall lamp", "siamese cat": "cat", "bulldog": "dog", "adult bike": "bicycle",
    "contemporary living room": "TV cabinet", "window shutter": "window shutter", "number lock": "combination lock",
}  # fmt: skip
_BROADER = {
    # The last word of a name, or the whole name, to a more general noun.
    "armchair": "chair", "motorcycle": "motorbike", "minivan": "car", "SUV": "car", "sofa bed": "sofa", "couch": "sofa",
    "futon couch": "sofa", "laptop": "computer", "smartphone": "phone", "grand piano": "piano",
    "upright piano": "piano",
    "electric guitar": "guitar", "biplane": "airplane", "rowboat": "boat", "teddy bear": "toy", "yucca": "plant",
    "spathiphyllum": "plant", "orchids": "flowers", "tulips": "flowers", "white lily": "flower",
    "succulent plant": "plant",
    "ficus": "tree", "acacia": "tree", "cypress": "tree", "poplar": "tree", "pine": "tree", "japanese maple": "tree",
    "sycamore maple": "tree", "copper beech": "tree", "peach blossom": "tree", "blue pine under snow": "tree",
    "pine under snow": "tree", "bulldog": "dog", "siamese cat": "cat", "fridge": "refrigerator", "stool": "stool",
    "sedan car": "car", "van": "car", "man": "person", "woman": "person", "boy": "child", "girl": "child",
    "sneakers": "shoes", "slippers": "shoes", "moccasin": "shoe", "jacuzzi": "hot tub", "crib": "baby bed",
    "mailbox": "letter box", "trousers": "clothes", "jacket": "clothes", "skirt": "clothes", "dress": "clothes",
}  # fmt: skip
_HEADS = {
    "table", "chair", "sofa", "bed", "lamp", "window", "door", "cabinet", "desk", "bench", "car", "tree", "plant",
    "shelf", "bottle", "glass", "cup", "mug", "pan", "bowl", "plate", "fan", "clock", "lantern", "fence", "railing",
    "box", "computer", "phone", "camera", "armchair", "bookcase", "oven", "fridge", "stove", "sink", "bin",
    "stool", "vase", "piano", "guitar", "truck", "bus", "bike", "bicycle", "scooter", "train", "motorcycle",
    "ladder", "mirror", "rug", "carpet", "bathtub",  "pool", "man", "woman",
    "boy", "girl", "knife", "brush", "watch", "speaker", "umbrella", "tent", "ball", "rack", "switch", "plug",
    "staircase", "column", "light", "scale", "cake", "frame", "heater", "dryer",
}  # fmt: skip
_PLAIN_TAGS = {"blend swap", "scpts", "adjustable", "haussmann", "4", "four", "double", "exterior", "appliance"}


def clean_name(name: str) -> tuple[str, tuple[str, ...]]:
    """A catalog name -> (plain words, nouns, closest first).

    "Apple iMac 1998" -> ("desktop computer", ("desktop computer", "computer")).
    """
    words = re.sub(r"\s+", " ", name).strip().lower()
    words = _BY_NAME.get(words, words)
    words = re.sub(r"^bill \d+.*", "banknote", words)
    words = re.sub(r"\b(\d+ (seats|zones|panes)|\d+°?|small panes)(?= |$)", "", words)
    words = re.sub(r"^(?:rounded|square|wall) (?:type [a-g]|antenna|rj45|double) plug$|.* plug$", "wall socket", words)
    words = re.sub(r"^(?:rounded|square|wall) (.*switch)$", r"wall \1", words).replace("wall switch", "light switch")
    words = re.sub(r"^(parking slot|arrow).*", r"\1 road marking", words)
    words = re.sub(r"\s+", " ", words).strip()
    words = _BY_NAME.get(words, words)
    nouns = [words]
    base = re.split(r" (?:with|and|of|under|lying|on) ", words.replace(", ", " and "))[0]
    if base != words:
        nouns.append(base)
    last = base.rsplit(" ", 1)[-1]
    if last in _HEADS:
        nouns.append(last)
    nouns += [_BROADER[noun] for noun in tuple(nouns) if noun in _BROADER]
    return words, tuple(dict.fromkeys(nouns))


def clean_tags(written: str) -> tuple[str, ...]:
    """The catalog's tags without names of collections: "Blend Swap, Seat" -> ("seat",)."""
    tags = (tag.strip().lower() for tag in written.split(","))
    return tuple(dict.fromkeys(tag for tag in tags if tag and tag not in _PLAIN_TAGS))
