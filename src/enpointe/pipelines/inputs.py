"""Which model draws from what. Needs no PyTorch: it is asked before anything heavy is imported."""

from __future__ import annotations

from typing import Literal

from enpointe.core.errors import InputError

Takes = Literal["text", "picture", "nothing"]

MODELS: dict[str, Takes] = {
    "pocket": "text",
    "base40M-textvec": "text",
    "base40M-imagevec": "picture",
    "base40M": "picture",
    "base300M": "picture",
    "base1B": "picture",
    "base40M-uncond": "nothing",
}
"""The models that draw whole clouds, and what each is told: the embedded family first, then the released ones."""


def check_model(name: str) -> None:
    """Raises InputError where there is no such model."""
    if name not in MODELS:
        raise InputError(f"model: expected one of {', '.join(MODELS)}, found {name!r}")


def check_inputs(model: str, *, text: bool, picture: bool) -> None:
    """Raises InputError where a model is not given what it draws from, or is given what it would not heed.

    Args:
        text, picture: what it is given.
    """
    takes = MODELS[model]
    given: dict[Takes, bool] = {"text": text, "picture": picture}
    for kind, is_given in given.items():
        if is_given and takes != kind:
            others = ", ".join(name for name, what in MODELS.items() if what == kind)
            raise InputError(f"{model} draws from {_ARTICLE[takes]}: expected no {kind}, found one; for that: {others}")
    if takes != "nothing" and not given[takes]:
        raise InputError(f"{model} draws from {_ARTICLE[takes]}: expected one, found none")


_ARTICLE: dict[Takes, str] = {"text": "a text", "picture": "a picture", "nothing": "nothing but the seed"}
