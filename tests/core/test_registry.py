"""Names come from modules, without a list of them anywhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from enpointe.core.errors import InputError
from enpointe.core.registry import Registry


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package `shelf` that holds a registry `BOOKS` in a module that is not looked at."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "_books.py").write_text(
        "from enpointe.core.registry import Registry\n"
        "BOOKS = Registry('book', 'shelf')\n"
        "LAZY = Registry('book', 'shelf', by_module=True)\n"
    )
    for name in ("atlas", "novel"):
        (folder / f"{name}.py").write_text(
            "from shelf._books import BOOKS, LAZY\n"
            f"BOOKS.register('{name}')({len(name)})\n"
            f"LAZY.register('{name}')('{name}')\n"
        )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for module in [module for module in sys.modules if module.split(".")[0] == "shelf"]:
        del sys.modules[module]


def registries() -> tuple[Registry[int], Registry[str]]:
    from shelf import _books  # type: ignore[import-not-found]

    return _books.BOOKS, _books.LAZY


def test_a_new_file_is_a_new_name(package: Path) -> None:
    (package / "poem.py").write_text("from shelf._books import BOOKS\nBOOKS.register('a poem')(4)\n")
    books, _ = registries()
    assert dict(books) == {"atlas": 5, "novel": 5, "a poem": 4}
    assert "a poem" in books
    assert len(books) == 3


def test_names_of_modules_are_known_without_importing_them(package: Path) -> None:
    _, lazy = registries()
    assert list(lazy) == ["atlas", "novel"]
    assert "atlas" in lazy
    assert "shelf.atlas" not in sys.modules
    assert lazy["novel"] == "novel"
    assert "shelf.atlas" not in sys.modules


def test_names_may_have_another_separator_than_modules(package: Path) -> None:
    (package / "_more.py").write_text(
        "from enpointe.core.registry import Registry\nMORE = Registry('book', 'shelf', by_module=True, separator='-')\n"
    )
    (package / "short_story.py").write_text("from shelf._more import MORE\nMORE.register('short-story')(7)\n")
    from shelf import _more

    assert list(_more.MORE) == ["atlas", "novel", "short-story"]
    assert _more.MORE["short-story"] == 7
    assert "short_story" not in _more.MORE


def test_an_unknown_name_lists_the_known(package: Path) -> None:
    books, lazy = registries()
    for registry in (books, lazy):
        with pytest.raises(InputError, match="book: expected one of atlas, novel, found 'map'"):
            registry["map"]
    assert "map" not in books


def test_a_name_is_given_once(package: Path) -> None:
    books, _ = registries()
    books.register("map")(1)
    with pytest.raises(InputError, match="second 'map'"):
        books.register("map")(2000)
    books.unregister("map")
    assert "map" not in books
