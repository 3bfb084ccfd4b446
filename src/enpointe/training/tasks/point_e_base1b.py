"""The released base1B: an image's CLIP grid -> 1,024 points."""

from __future__ import annotations

from enpointe.training.tasks import RECIPES
from enpointe.training.tasks._point_e import released_recipe

RECIPES.register("point-e-base1b")(released_recipe("base1B", learning_rate=5e-5, recompute=True))
