"""Whether the user forbids the network; the standard library only."""

from __future__ import annotations

import os

SWITCHES = ("ENPOINTE_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
"""Environment variables: this package's, and those of the libraries that it loads CLIP with."""

_NO = ("", "0", "false", "no", "off")


def is_offline() -> bool:
    """Whether one of SWITCHES is set to anything but nothing, 0, false, no or off."""
    return any(os.environ.get(name, "").strip().lower() not in _NO for name in SWITCHES)
