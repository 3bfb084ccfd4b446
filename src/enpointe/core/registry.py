"""Things of one kind by name, one module each: adding a file adds a name.

A registry knows the package that its modules live in and imports them when they are needed, so that whoever adds a
module writes down its name nowhere else. Other packages add theirs through an entry point group.
"""

from __future__ import annotations

import pkgutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Generic, TypeVar, cast

from enpointe.core.errors import InputError
from enpointe.core.warnings import EnpointeWarning

T = TypeVar("T")
V = TypeVar("V")


class Registry(Mapping[str, T], Generic[T]):
    """A mapping from names to what modules registered under them.

    Args:
        kind: what the names stand for, for messages: "sampler".
        package: whose modules register. Modules whose names begin with an underscore are not looked at.
        by_module: a module's own name is the name that it registers. The names are then known, and a single one is
            looked up, without importing the others.
        separator: what stands in such a name for the underscores of the module's.
        group: entry point group through which other packages name modules of theirs.
    """

    def __init__(
        self, kind: str, package: str, *, by_module: bool = False, separator: str = "_", group: str | None = None
    ) -> None:
        self.kind = kind
        self._package = package
        self._by_module = by_module
        self._separator = separator
        self._group = group
        self._found: dict[str, T] = {}
        self._complete = False

    def register(self, name: str) -> Callable[[V], V]:
        """A decorator that puts what it decorates under `name`.

        Raises:
            InputError: something else has that name.
        """

        def put(value: V) -> V:  # a T, which a type cannot say; the decorated name keeps its own type
            registered: object = self._found.setdefault(name, cast(T, value))
            if registered is not value:
                raise InputError(f"{self.kind}: expected a name that is free, found a second {name!r}")
            return value

        return put

    def unregister(self, name: str) -> None:
        """Takes a name back; InputError where there is none."""
        self[name]
        del self._found[name]

    def __getitem__(self, name: str) -> T:
        """What has that name; InputError, which lists the names, where nothing has."""
        if name not in self._found:
            if self._by_module and name in (modules := self._by_name()):
                import_module(f"{self._package}.{modules[name]}")
            else:
                self._import_all()
        if name not in self._found:
            raise InputError(f"{self.kind}: expected one of {', '.join(self)}, found {name!r}")
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return any(name == known for known in self)

    def __iter__(self) -> Iterator[str]:
        if self._by_module:
            return iter(sorted({*self._by_name(), *self._found}))
        self._import_all()
        return iter(self._found)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _modules(self) -> list[str]:
        paths = import_module(self._package).__path__
        return [module.name for module in pkgutil.iter_modules(paths) if not module.name.startswith("_")]

    def _by_name(self) -> dict[str, str]:
        return {module.replace("_", self._separator): module for module in self._modules()}

    def _import_all(self) -> None:
        if self._complete:
            return
        self._complete = True  # before the imports: a module may look another one up
        for module in self._modules():
            import_module(f"{self._package}.{module}")
        if self._group:
            self._import_entry_points(self._group)

    def _import_entry_points(self, group: str) -> None:
        from importlib.metadata import entry_points  # a fifth of the time that `enpointe --help` takes

        for entry in entry_points(group=group):
            try:
                entry.load()
            except Exception as error:  # noqa: BLE001 - another package's module may raise anything, and the others go on
                warnings.warn(
                    f"{self.kind}: expected {entry.value} to be importable, found {error!r}",
                    EnpointeWarning,
                    stacklevel=2,
                )
