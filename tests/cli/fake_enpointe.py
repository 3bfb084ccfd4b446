"""`enpointe` with a pipeline that knows spheres only: run as a script in place of the command."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import enpointe
from enpointe.cli import main
from fake_pipeline import FakeLoad

vars(enpointe)["load"] = FakeLoad()
if __name__ == "__main__":
    sys.exit(main())
