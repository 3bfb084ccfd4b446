"""Folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from enpointe.core.errors import OutputError
from enpointe.core.files import check_room, writing


@contextmanager
def replacing_folder(
    target: Path, n_bytes: int = 0, *, former: Callable[[Path], Iterable[Path]] = lambda folder: ()
) -> Iterator[Path]:
    """Yields an empty hidden folder on the same disk; when the block ends well, its content becomes `target`'s.

    A new target appears by one rename. In an existing one files of the same names are replaced, those that `former`
    finds there are removed, and all others stay. When the block raises, nothing is left, not even parents made for
    the occasion.

    Args:
        n_bytes: that the content may take.
        former: the files, in an existing target, of the result that is replaced.

    Raises:
        OutputError: before the block runs, `target` cannot be written or its disk lacks `n_bytes`; after it, a file
            and a folder share a name.
    """
    target = Path(os.path.abspath(target))  # noqa: PTH100  resolve() would follow a link that is the target
    with writing(target):
        home = target if target.is_dir() else target.parent
        for folder in (target, *target.parents):
            if (folder.exists() or folder.is_symlink()) and not folder.is_dir():
                raise OutputError(f"expected a folder to write to, got a file: {folder}")
        made = [folder for folder in (home, *home.parents) if not folder.exists()]
    staging: Path | None = None
    done = False
    try:
        with writing(target):
            home.mkdir(parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(prefix=".enpointe-", dir=home))
            check_room(home, n_bytes)
        yield staging
        with writing(target):
            _publish(staging, target, former)
        done = True
    except OutputError as error:
        # A user knows the requested folder, not the place where its files are being written.
        raise OutputError(str(error).replace(str(staging), str(target))) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
        if not done:
            for folder in made:
                _remove_if_empty(folder)


def _publish(staging: Path, target: Path, former: Callable[[Path], Iterable[Path]]) -> None:
    if not target.exists():
        # mkdtemp's folder is its owner's alone; a result has the rights that mkdir would have given.
        mask = os.umask(0)
        os.umask(mask)
        staging.chmod(0o777 & ~mask)
        staging.rename(target)
        return
    new = sorted(path.relative_to(staging) for path in staging.rglob("*"))
    for path in new:
        if (target / path).exists() and (target / path).is_dir() != (staging / path).is_dir():
            raise OutputError(
                f"expected to replace a former result, but a file and a folder share a name: {target / path}"
            )
    old_files = list(former(target))
    for path in new:
        if (staging / path).is_dir():
            (target / path).mkdir(exist_ok=True)
        else:
            (staging / path).replace(target / path)
    for old in old_files:
        if old.relative_to(target) not in new:
            old.unlink(missing_ok=True)
    for folder in {old.parent for old in old_files} - {target}:
        _remove_if_empty(folder)


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return  # someone else's files, or already gone: both are fine
