"""Result folders that appear whole or not at all, and single files checked before the long work starts."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from enpointe.core.errors import OutputError

RESULT_NAMES = ("cloud.ply", "cloud.npz", "mesh.glb", "views.png", "view.html", "meta.json")
BYTES_PER_FILE = 10_000_000
"""Room that one file may take: a cloud of 65,536 points and a 128-grid mesh stay below it."""
_MAX_SLUG = 60


def slug(prompt: str) -> str:
    """A file name for a prompt: a to z, 0 to 9 and single dashes, 1 to 69 characters.

    Where letters were lost (another script, a long text), eight digits of a hash keep different prompts apart.
    """
    plain = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    whole = not any(c.isalnum() and not unicodedata.normalize("NFKD", c)[0].isascii() for c in prompt)
    short = words if len(words) <= _MAX_SLUG else words[:_MAX_SLUG].rsplit("-", 1)[0]
    if words and whole and short == words:
        return words
    digest = hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{short or 'prompt'}-{digest}"


@contextmanager
def result_folder(target: Path, n_bytes: int) -> Iterator[Path]:
    """Yields an empty hidden folder on the same disk; when the block ends well, its content becomes `target`'s.

    A new target appears by one rename. In an existing one the files of a former run are replaced and what
    else lies there stays. When the block raises, nothing is left, not even parents made for the occasion.
    Raises OutputError, before the block runs, when `target` cannot be written or its disk lacks `n_bytes`.
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
            _check_room(home, n_bytes)
        yield staging
        with writing(target):
            _publish(staging, target)
        done = True
    except OutputError as error:
        # A user knows the folder that was asked for, not where its files are being made.
        raise OutputError(str(error).replace(str(staging), str(target))) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
        if not done:
            for folder in made:
                _remove_if_empty(folder)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the system's refusals into an OutputError that names `path`."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write to {path}: {error.strerror or error}") from error


def check_file(path: Path, n_bytes: int = BYTES_PER_FILE) -> Path:
    """The path, if a file can be written there now; OutputError if not."""
    with writing(path):
        if path.is_dir():
            raise OutputError(f"expected a file to write to, got a folder: {path}")
        if not path.parent.is_dir():
            raise OutputError(f"expected an existing folder to write {path.name} to, got {path.parent}")
        with tempfile.TemporaryFile(dir=path.parent):
            _check_room(path.parent, n_bytes)
    return path


def _check_room(folder: Path, n_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise OutputError(f"expected at least {n_bytes / 1e6:.0f} MB free at {folder}, got {free / 1e6:.1f} MB")


def _publish(staging: Path, target: Path) -> None:
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
    former = _former_results(target)
    for path in new:
        if (staging / path).is_dir():
            (target / path).mkdir(exist_ok=True)
        else:
            (staging / path).replace(target / path)
    for old in former:
        if old.relative_to(target) not in new:
            old.unlink(missing_ok=True)
    for folder in {old.parent for old in former} - {target}:
        _remove_if_empty(folder)


def _former_results(target: Path) -> list[Path]:
    """Files of an earlier run here or in numbered subfolders: only beside a meta.json that is ours."""
    numbered = [folder for folder in target.iterdir() if re.fullmatch(r"[0-9]+", folder.name) and folder.is_dir()]
    ours = [folder for folder in (target, *numbered) if _is_ours(folder / "meta.json")]
    return [folder / name for folder in ours for name in RESULT_NAMES if (folder / name).is_file()]


def _is_ours(meta: Path) -> bool:
    try:
        content = json.loads(meta.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and "enpointe" in content


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return  # someone else's files, or already gone: both are fine
