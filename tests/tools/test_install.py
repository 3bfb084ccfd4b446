"""tools/install.py with a real pip, from wheels made here and into a folder of the test's own."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

INSTALL = Path(__file__).parents[2] / "tools" / "install.py"


def make_wheel(folder: Path, name: str, requires: str = "") -> None:
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


def install(folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    arguments = ["--no-index", "--find-links", str(folder), "--target", str(folder / "site"), name]
    return subprocess.run([sys.executable, str(INSTALL), *arguments], capture_output=True, text=True, check=False)


def test_a_line_a_package_with_the_seconds(tmp_path: Path) -> None:
    make_wheel(tmp_path, "lower")
    make_wheel(tmp_path, "upper", "Requires-Dist: lower\n")
    done = install(tmp_path, "upper")
    lines = [re.sub(r"^ *\d+ s  ", "", line) for line in done.stderr.splitlines() if re.match(r" *\d+ s  ", line)]
    assert done.returncode == 0
    expected = ["upper 1.0", "lower 1.0", "unpacking 2 packages", "2 packages installed"]
    assert list(dict.fromkeys(line for line in lines if line in expected)) == expected  # others are of work in progress
    assert (tmp_path / "site" / "lower.py").is_file()
    assert "\r" not in done.stderr  # no terminal, nothing overwritten


def test_what_pip_says_of_a_failure_is_shown(tmp_path: Path) -> None:
    done = install(tmp_path, "missing")
    assert done.returncode == 1
    assert "No matching distribution found for missing" in done.stderr
    assert "installed" not in done.stderr
