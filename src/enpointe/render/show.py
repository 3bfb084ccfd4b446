"""A viewer page shown to a person: in a notebook's cell, else in the browser."""

from __future__ import annotations

import html
import tempfile
import webbrowser
from pathlib import Path

from enpointe.core.progress import in_notebook

HEIGHT = 480
"""Of a page in a notebook, in pixels."""


def show_page(page: str) -> Path | None:
    """Shows an HTML page: below a notebook's cell, else from a temporary file in the browser.

    Returns:
        The file, which stays until the system clears its temporary folder; None in a notebook. Where no browser can
        be started, a line says which file to open.
    """
    if in_notebook():
        from IPython.display import HTML, display

        display(HTML(notebook_frame(page)))
        return None
    path = Path(tempfile.mkdtemp(prefix="enpointe-")) / "view.html"
    path.write_text(page, encoding="utf-8", errors="backslashreplace")
    if not webbrowser.open(path.as_uri()):
        print(f"open {path} in a browser")
    return path


def notebook_frame(page: str, height: int = HEIGHT) -> str:
    """The page as an HTML element that stands in another page and cannot reach it."""
    return (
        f'<iframe sandbox="allow-scripts" style="width: 100%; height: {height}px; border: 0" '
        f'srcdoc="{html.escape(page)}"></iframe>'
    )
