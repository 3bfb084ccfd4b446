"""Importing the package and asking for help stay cheap: nothing heavy is imported. (Times: benchmarks.)"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
HEAVY = ("torch", "transformers", "scipy", "skimage", "trimesh", "numpy", "PIL", "tokenizers")


def modules_after(code: str) -> set[str]:
    script = "\n".join(
        [
            "import sys",
            "try:",
            f"    {code}",
            "except SystemExit as end:",
            "    assert not end.code",
            "print()",
            "print(*sys.modules)",
        ]
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )  # fmt: skip
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import enpointe",
        "from enpointe.cli import main; main(['--help'])",
        "from enpointe.cli import main; main(['generate', '--help'])",
        "from enpointe.cli import main; main(['train', '--help'])",
        "from enpointe.cli import main; main(['data', 'build', '--help'])",
        "from enpointe.cli import main; assert main(['generate', '', '--n', '3']) == 2",
    ],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    modules = modules_after(code)
    assert "enpointe" in modules
    assert not modules.intersection(HEAVY)


def test_names_are_found_when_first_used() -> None:
    modules = modules_after("import enpointe; assert enpointe.PointCloud.__name__ == 'PointCloud'")
    assert "enpointe.geometry.point_cloud" in modules
    assert "torch" not in modules


def test_unknown_name_is_an_attribute_error() -> None:
    import enpointe

    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = enpointe.lod
    assert {"load", "PointCloud", "Mesh", "__version__"} <= set(dir(enpointe))
