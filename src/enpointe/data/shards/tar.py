"""Tar files whose bytes depend on nothing but their content: no times, no owners, members as given."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence

from enpointe.core.errors import InputError

_BLOCK = 512
END = bytes(2 * _BLOCK)
"""What closes an archive."""


def members(files: Sequence[tuple[str, bytes]]) -> bytes:
    """Files by name as the bytes that an archive holds of them; archives are such bytes in a row, then `END`."""
    parts = []
    for name, data in files:
        header = tarfile.TarInfo(name)  # time 0, owner 0, mode 0644
        header.size = len(data)
        parts += [header.tobuf(tarfile.USTAR_FORMAT), data, bytes(-len(data) % _BLOCK)]
    return b"".join(parts)


def read(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and content of the files in an archive, in order; nothing is unpacked to disk.

    Raises:
        InputError: it is damaged, or holds anything but files.
    """
    if len(data) < len(END) or data[-len(END) :] != END:
        raise InputError("expected a tar archive, found one that breaks off")
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for member in archive:
                # Sparse files declare zeros that are not there, without bound.
                plain = member.isreg() and not member.issparse() and member.size <= len(data)
                file = archive.extractfile(member) if plain else None
                if file is None:
                    raise InputError(f"{member.name}: expected a file, found a tar member of type {member.type!r}")
                content = file.read()
                if len(content) != member.size:
                    raise InputError(f"{member.name}: expected {member.size} bytes, found {len(content)}")
                yield member.name, content
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"expected a tar archive, found {error}") from error
