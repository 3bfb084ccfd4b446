"""Attribution of a set of assets, as text that may stand beside what was made of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Protocol

_LINKS = {
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "CC-BY-3.0": "https://creativecommons.org/licenses/by/3.0/",
    "CC-BY-3.0-US": "https://creativecommons.org/licenses/by/3.0/us/",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC-BY-SA-3.0": "https://creativecommons.org/licenses/by-sa/3.0/",
    "CC-BY-SA-4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "CC-BY-NC-4.0": "https://creativecommons.org/licenses/by-nc/4.0/",
    "CC-BY-NC-SA-4.0": "https://creativecommons.org/licenses/by-nc-sa/4.0/",
    "MIT": "https://opensource.org/license/mit",
    "Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "ODC-By-1.0": "https://opendatacommons.org/licenses/by/1-0/",
}


class Attributed(Protocol):
    """An asset, a record, an outcome: anything with an attribution."""

    @property
    def key(self) -> str: ...
    @property
    def licence(self) -> str: ...
    @property
    def creator(self) -> str: ...
    @property
    def source(self) -> str: ...


def attribution_text(works: Iterable[Attributed]) -> str:
    """Markdown: by source and licence, each creator with the keys of their works. The same for any order."""
    groups: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for work in works:
        groups[work.source, work.licence][work.creator].append(work.key)
    lines = ["# Attribution", "", "Clouds and images here were made of 3D models by others, changed in form."]
    for (source, licence), creators in sorted(groups.items()):
        link = f" ({_LINKS[licence]})" if licence in _LINKS else ""
        lines += ["", f"## {_line(source)}: {_line(licence)}{link}", ""]
        lines += [f"- {_line(who)}: {', '.join(map(_line, sorted(keys)))}" for who, keys in sorted(creators.items())]
    return "\n".join(lines) + "\n"


def _line(text: str) -> str:
    """On one line, so that no name can pass for more than itself."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
