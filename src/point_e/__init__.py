"""The public Point-E release's modules and names, over enpointe: its scripts run unchanged.

Numbers are the release's: 64 Heun steps, float32, a dense SDF grid. What enpointe does faster without
changing them comes along by itself; what it does faster still is in `enpointe`.
"""

from __future__ import annotations
