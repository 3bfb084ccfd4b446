"""`python -m enpointe` is the same command as `enpointe`."""

from __future__ import annotations

import sys

from enpointe.cli import main

if __name__ == "__main__":
    sys.exit(main())
