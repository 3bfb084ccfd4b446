"""The network is forbidden by any of three variables."""

from __future__ import annotations

import pytest

from enpointe.core.offline import SWITCHES, is_offline


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SWITCHES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize(
    ("value", "offline"),
    [("1", True), ("true", True), ("ON", True), ("y", True), ("", False), ("0", False), (" No ", False)],
)
def test_each_switch(monkeypatch: pytest.MonkeyPatch, switch: str, value: str, offline: bool) -> None:
    assert not is_offline()
    monkeypatch.setenv(switch, value)
    assert is_offline() == offline
