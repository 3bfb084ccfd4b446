"""The released upsample: 1,024 points and an image's CLIP grid -> 3,072 points more."""

from __future__ import annotations

from enpointe.training.tasks import RECIPES
from enpointe.training.tasks._point_e import released_recipe

RECIPES.register("point-e-upsample")(released_recipe("upsample", learning_rate=1e-4, recompute=True))
