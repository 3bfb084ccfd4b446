"""Where the public release's checkpoints are downloaded from."""

from __future__ import annotations

RELEASE_URL = "https://openaipublic.azureedge.net/main/point-e/"
MIRRORS = (
    RELEASE_URL,
    "https://openaipublic.blob.core.windows.net/main/point-e/",
)
"""Addresses that are tried in this order: the release's own, and the storage account behind it."""
