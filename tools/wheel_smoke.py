"""Builds the wheel, looks into it, and tries it in an empty environment of each supported Python found here.

    python tools/wheel_smoke.py                      # Python 3.11, 3.12 and 3.13, as far as this machine has them
    python tools/wheel_smoke.py --python python3.12  # this one only
    python tools/wheel_smoke.py --uv                 # install with uv, which knows where CPU builds of PyTorch are

pip is not allowed to take PyTorch with CUDA, several GB. Where it would have to (Linux on x86-64, unless an index has
the pinned version as "+cpu"), the rest is installed, and tried is what works without PyTorch.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
VERSIONS = ("3.11", "3.12", "3.13")
MOST_BYTES = 100_000_000

COMPILE = """
import compileall
import importlib.util
import sys
packages = [importlib.util.find_spec(name).submodule_search_locations[0] for name in ("enpointe", "point_e")]
sys.exit(not all(compileall.compile_dir(package, quiet=1) for package in packages))
"""

WITHOUT_TORCH = """
import sys
import numpy as np
import enpointe
points = np.random.default_rng(0).random((500, 3))
enpointe.PointCloud(points, points).save("cloud.ply")
assert len(enpointe.PointCloud.load("cloud.ply").points) == 500
assert "torch" not in sys.modules
print("enpointe", enpointe.__version__, "on Python", sys.version.split()[0])
"""

READ_BACK = """
import json
from pathlib import Path
import numpy as np
import enpointe
cloud = enpointe.PointCloud.load("car/cloud.ply")
assert cloud.points.shape == (4096, 3) and np.isfinite(cloud.points).all(), cloud.points.shape
assert cloud.colors.shape == (4096, 3) and 0 <= cloud.colors.min() <= cloud.colors.max() <= 1, cloud.colors
assert np.allclose(enpointe.PointCloud.load("car/cloud.npz").points, cloud.points, atol=1e-6)
assert json.loads(Path("car/meta.json").read_text(encoding="utf-8"))["prompt"] == "a red car"
"""


class SmokeError(Exception):
    """Something is not as it should be."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--python", action="append", help="an interpreter to try; may be repeated")
    parser.add_argument("--uv", action="store_true", help="install with uv and CPU builds of PyTorch")
    options = parser.parse_args()
    lines, failed = list[str](), False
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(Path(folder))
        lines.append(inspect(wheel))
        for i, name in enumerate(options.python or VERSIONS):
            python = name if options.python else find(name)
            began = time.monotonic()
            try:
                result = try_in(python, wheel, Path(folder, str(i)), options.uv) if python else "not found here"
            except SmokeError as error:
                result, failed = f"FAILED: {error}", True
            lines.append(f"{name}: {result} ({time.monotonic() - began:.0f} s)")
    print(*lines, sep="\n")
    return int(failed)


def build(folder: Path) -> Path:
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
    (wheel,) = folder.glob("enpointe-*.whl")
    return wheel


def inspect(wheel: Path) -> str:
    """Size and number of files, in words; the files are all those of the two packages and no others."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    source = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*") if path.is_file()}
    wanted = {name for name in source if "__pycache__" not in name and not name.startswith(".")}
    if names != wanted:
        raise SmokeError(f"{wheel.name}: missing {sorted(wanted - names)}, not expected {sorted(names - wanted)}")
    if (size := wheel.stat().st_size) > MOST_BYTES:
        raise SmokeError(f"{wheel.name}: expected {MOST_BYTES} bytes at most, found {size}")
    return f"{wheel.name}: {size / 1e6:.1f} MB, {len(names)} files"


def find(version: str) -> str | None:
    """An interpreter of this version: this one, one on PATH, or pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    candidates = [sys.executable, shutil.which(f"python{version}"), *map(str, pyenv.glob(f"{version}.*/bin/python"))]
    show = "import sys; print('%d.%d' % sys.version_info[:2])"
    for python in filter(None, candidates):
        done = subprocess.run([python, "-c", show], capture_output=True, text=True, check=False)
        if done.stdout.strip() == version:
            return python
    return None


def try_in(python: str, wheel: Path, folder: Path, uv: bool) -> str:
    """What was tried, in words."""
    run(python, "-m", "venv", folder / "venv")
    place, suffix = ("Scripts", ".exe") if os.name == "nt" else ("bin", "")
    mine, command = (folder / "venv" / place / f"{name}{suffix}" for name in ("python", "enpointe"))
    pip = (mine, "-m", "pip", "install", "--quiet", "--no-compile")
    full = uv or has_cpu_torch(mine)
    if uv:
        run("uv", "pip", "install", "--python", mine, "--torch-backend", "cpu", "--constraint", CONSTRAINTS, wheel)
    else:
        if not full:
            run(*pip, "--constraint", CONSTRAINTS, *requirements_without_torch(wheel))
        run(*pip, "--constraint", CONSTRAINTS, *([] if full else ["--no-deps"]), wheel)
    run(mine, "-W", "error", "-c", COMPILE, cwd=folder)
    run(mine, "-c", WITHOUT_TORCH, cwd=folder)
    run(command, "--help", cwd=folder)
    run(command, "view", "cloud.ply", cwd=folder)
    if not full:
        return (
            "passed what works without PyTorch (pip has only builds with CUDA here): compiling, "
            "import, --help, clouds' files, view"
        )
    run(command, "generate", "a red car", "--steps", "2", "--no-mesh", "--out", "car", cwd=folder)
    run(mine, "-c", READ_BACK, cwd=folder)
    return "passed: compiling, import, --help, clouds' files, view, generate"


def has_cpu_torch(python: Path) -> bool:
    """Whether pip takes the pinned PyTorch without CUDA."""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "AMD64"):
        return True
    pin = re.search(r"^torch==(\S+)$", CONSTRAINTS.read_text(encoding="utf-8"), re.MULTILINE)
    assert pin
    return f"{pin[1]}+cpu" in run(python, "-m", "pip", "index", "versions", "torch")


def requirements_without_torch(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().splitlines()
    found = [line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: ")]
    return [line for line in found if "extra ==" not in line and not re.match(r"torch\b", line)]


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """The command's output; with nothing of this checkout in its environment."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "ENPOINTE", "VIRTUAL"))
    }
    print("$", *command if "\n" not in str(command[-1]) else [*command[:-1], "..."], file=sys.stderr, flush=True)
    done = subprocess.run(
        command, cwd=cwd, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        raise SmokeError(f"{' '.join(map(str, command[:3]))}: exit code {done.returncode}\n{done.stdout[-3000:]}")
    return done.stdout


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SmokeError as problem:
        sys.exit(f"FAILED: {problem}")
