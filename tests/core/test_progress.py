"""Bars in terminals and notebooks only; callbacks as they are."""

from __future__ import annotations

import io
import sys

import pytest

from enpointe.core.progress import Progress, ProgressBar, no_progress, shown


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def steps() -> list[Progress]:
    return [Progress("cloud", i, 3) for i in range(1, 4)] + [Progress("download", 1_000, 2_000_000, "B")]


def test_a_terminal_sees_a_bar_for_each_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with ProgressBar() as bar:
        for step in steps():
            bar(step)
    text = terminal.getvalue()
    assert "cloud" in text
    assert "download" in text
    assert "2.00M" in text


def test_a_file_sees_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    with shown(True) as report:
        for step in steps():
            report(step)
    assert file.getvalue() == ""


def test_what_an_argument_stands_for() -> None:
    seen: list[Progress] = []
    with shown(seen.append) as report:
        report(Progress("mesh", 1, 2))
    assert seen == [Progress("mesh", 1, 2)]
    with shown(False) as report:
        assert report is no_progress
    with shown(True) as report:
        assert isinstance(report, ProgressBar)
