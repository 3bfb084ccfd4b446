"""What a prompt may be; the standard library only, so that it is checked before anything heavy is imported."""

from __future__ import annotations

import unicodedata

from enpointe.core.errors import InputError

MAX_CHARACTERS = 2000
"""Many times what a text encoder reads; more than that is a file given by mistake."""


def check_prompt(prompt: str) -> str:
    """The prompt without surrounding white space.

    Any script is welcome. Raises InputError when the text is blank (nothing but spaces and invisible
    characters), longer than MAX_CHARACTERS, holds control characters, or was not decodable as UTF-8.
    """
    if not isinstance(prompt, str):
        raise InputError(f"prompt: expected text (str), got {type(prompt).__name__}")
    text = prompt.strip()
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"prompt: expected at most {MAX_CHARACTERS} characters, got {len(text)}")
    for position, character in enumerate(text):
        category = unicodedata.category(character)
        if category == "Cc":
            raise InputError(
                f"prompt: expected text without control characters, got U+{ord(character):04X} at position {position}"
            )
        if category == "Cs":  # Python's stand-in for an argument's byte that is not UTF-8
            raise InputError(f"prompt: expected UTF-8 text, got an undecodable byte at position {position}")
    if not any(unicodedata.category(character)[0] in "LNPS" for character in text):
        raise InputError('prompt: expected a description such as "a pink motorcycle", got blank text')
    return text
