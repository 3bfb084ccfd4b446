"""Watching over a Blender, and reading what it writes; with stand-ins, so that none is needed."""

from __future__ import annotations

import os
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from enpointe.core.errors import DeviceError, InputError, RenderError
from enpointe.render.blender.exr import read_exr
from enpointe.render.blender.import_files import _without_textures
from enpointe.render.blender.process import BlenderLimits, BlenderProcess, find_blender

_STAND_IN = """
import json, os, signal, sys, time
print("Blender prints something")
def answer(**fields):
    print("enpointe:" + json.dumps(fields), flush=True)
answer(version=[4, 5, 1], name="4.5.1 stand-in", reads=[".fbx"])
for line in sys.stdin:
    job = json.loads(line)
    number = job["job"]
    match job["do"]:
        case "sleep":
            time.sleep(60)
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "leave":
            os._exit(3)
        case "eat":
            held = b"x" * (200 << 20)
            time.sleep(60)
        case "dawdle":
            for _ in range(100):
                time.sleep(0.3)
                answer(job=number, view=0)
        case "fail":
            answer(job=number, error="ValueError: no")
            continue
    answer(job=number - 1, view=7)
    answer(job=number, view=0)
    answer(job=number, done=True)
"""
_LIMITS = BlenderLimits(stall=1.0, seconds=2.0, memory=150 << 20)


@pytest.fixture
def stand_in(tmp_path: Path) -> list[str]:
    (tmp_path / "stand_in.py").write_text(_STAND_IN, encoding="utf-8")
    return [sys.executable, "-I", str(tmp_path / "stand_in.py")]


def test_answers_are_of_this_job_and_end_with_its_last(stand_in: list[str]) -> None:
    with BlenderProcess(_LIMITS, command=stand_in) as blender:
        assert (blender.version, blender.reads) == ("4.5.1 stand-in", (".fbx",))
        for number in (1, 2):
            answers = list(blender.ask({"do": "work"}))
            assert answers == [{"job": number, "view": 0}, {"job": number, "done": True}]
        (failed,) = blender.ask({"do": "fail"})
        assert failed["error"] == "ValueError: no"
        assert blender.starts == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    ("job", "reason"),
    [
        ("crash", "crashed.*SIGSEGV"),
        ("leave", "crashed.*exit code 3"),
        ("sleep", "stalled.*within 1 seconds"),
        ("dawdle", "longer than 2 seconds"),
        pytest.param(
            "eat", "MiB of memory, more than 150", marks=pytest.mark.skipif(sys.platform != "linux", reason="no /proc")
        ),
    ],
)
@pytest.mark.slow
def test_whatever_ends_blender_costs_one_job(stand_in: list[str], job: str, reason: str) -> None:
    with BlenderProcess(_LIMITS, command=stand_in) as blender:
        first = blender.pid
        with pytest.raises(RenderError, match=reason):
            list(blender.ask({"do": job}))
        assert blender.pid is None
        assert first is not None
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)
        assert [*blender.ask({"do": "work"})][-1]["done"]
        assert blender.starts == 2


def test_a_job_given_up_ends_its_blender(stand_in: list[str]) -> None:
    with BlenderProcess(_LIMITS, command=stand_in) as blender:
        answers = blender.ask({"do": "work"})
        next(answers)
        answers.close()
        assert blender.pid is None
        assert [*blender.ask({"do": "work"})][-1]["done"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda script: script.replace("[4, 5, 1]", "[3, 3, 9]"), "3.4 or newer, found 4.5.1 stand-in"),
        (lambda script: "raise SystemExit('no display')", "exit code 1 no display"),
    ],
)
def test_a_blender_too_old_or_broken_is_told_at_the_start(
    stand_in: list[str], change: Callable[[str], str], reason: str
) -> None:
    Path(stand_in[-1]).write_text(change(_STAND_IN), encoding="utf-8")
    with pytest.raises(DeviceError, match=reason):
        BlenderProcess(_LIMITS, command=stand_in).start()
    with pytest.raises(DeviceError, match="expected a Blender that starts"):
        BlenderProcess(_LIMITS, command=["/no/such/program"]).start()


def test_blender_is_what_the_environment_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ENPOINTE_BLENDER", sys.executable)
    program, *_, entry = find_blender()
    assert (program, Path(entry).name) == (sys.executable, "entry.py")
    blender = tmp_path / "blender-3.6"
    blender.write_text("#!/bin/sh\n", encoding="utf-8")
    blender.chmod(0o755)
    monkeypatch.setenv("ENPOINTE_BLENDER", str(blender))
    command = find_blender()
    assert command[0] == str(blender)
    assert {"--background", "--factory-startup", "--disable-autoexec"} < set(command)
    monkeypatch.setenv("ENPOINTE_BLENDER", str(tmp_path / "none"))
    with pytest.raises(DeviceError, match="ENPOINTE_BLENDER: expected a program"):
        find_blender()


@pytest.mark.parametrize("limits", [{"stall": 0}, {"seconds": -1}, {"memory": 0}, {"stall": float("nan")}])
def test_limits_are_above_zero(limits: dict[str, float]) -> None:
    with pytest.raises(InputError, match="above 0"):
        BlenderLimits(**limits)  # type: ignore[arg-type]


# COLLADA files are relieved of what refers to others


def test_images_become_stand_ins_and_their_identifiers_stay() -> None:
    text = b"<image><init_from> ../a%20b.png </init_from></image><surface type='2D'><init_from>paint</init_from>"
    changed, names = _without_textures(text + b"<x:init_from><ref>file:///c/d.png</ref><init_from/>")
    assert names == {"texture0.png": "../a%20b.png", "texture1.png": "/c/d.png"}
    assert changed.count(b"paint") == 1
    assert b".." not in changed
    assert b"/c/" not in changed


@pytest.mark.parametrize(
    "text",
    [
        b'<?xml version="1.0" encoding="UTF-7"?><COLLADA/>',
        "<COLLADA/>".encode("utf-16"),
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><COLLADA/>',
        b'<instance_geometry url="other.dae#square"/>',
        b"<instance_node url = 'file:///etc/passwd'/>",
    ],
)
def test_a_collada_file_that_reaches_out_is_refused(text: bytes) -> None:
    with pytest.raises(InputError, match="expected a COLLADA file"):
        _without_textures(text)


# OpenEXR


def _exr(channels: dict[str, np.ndarray], *, compression: int = 0, version: int = 2, window: tuple[int, ...]) -> bytes:
    def attribute(name: str, kind: str, value: bytes) -> bytes:
        return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(value)) + value

    names = sorted(channels)
    listed = b"".join(name.encode() + b"\0" + struct.pack("<4i", 2, 0, 1, 1) for name in names) + b"\0"
    header = struct.pack("<II", 20000630, version) + attribute("channels", "chlist", listed)
    header += attribute("compression", "compression", bytes([compression]))
    header += attribute("dataWindow", "box2i", struct.pack("<4i", *window)) + attribute("lineOrder", "lineOrder", b"\0")
    rows = len(channels[names[0]])
    body = b""
    for row in range(rows):
        values = b"".join(channels[name][row].astype("<f4").tobytes() for name in names)
        body += struct.pack("<2i", window[1] + row, len(values)) + values
    return header + b"\0" + bytes(8 * rows) + body


def test_channels_come_back_in_their_shape(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    channels = {f"Layer.{name}": rng.random((3, 5), np.float32) for name in ("Combined.R", "Depth.Z", "Combined.A")}
    path = tmp_path / "a.exr"
    path.write_bytes(_exr(channels, window=(0, 2, 4, 4)))
    found = read_exr(path)
    assert found.keys() == channels.keys()
    for name, values in channels.items():
        np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize("change", ["cut", "empty", "other", "compressed", "tiled", "huge", "negative"])
def test_other_files_are_refused(tmp_path: Path, change: str) -> None:
    channels = {"R": np.zeros((2, 2), np.float32)}
    whole = _exr(channels, window=(0, 0, 1, 1))
    data = {
        "cut": whole[:-3],
        "empty": b"",
        "other": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "compressed": _exr(channels, compression=3, window=(0, 0, 1, 1)),
        "tiled": _exr(channels, version=2 | 0x200, window=(0, 0, 1, 1)),
        "huge": _exr(channels, window=(0, 0, 2**31 - 1, 2**31 - 1)),
        "negative": _exr(channels, window=(0, 0, -5, -5)),
    }[change]
    path = tmp_path / "a.exr"
    path.write_bytes(data)
    begun = time.monotonic()
    with pytest.raises(InputError):
        read_exr(path)
    assert time.monotonic() - begun < 5
