"""The released base300M: an image's CLIP grid -> 1,024 points."""

from __future__ import annotations

from enpointe.training.tasks import RECIPES
from enpointe.training.tasks._point_e import released_recipe

RECIPES.register("point-e-base300m")(released_recipe("base300M", learning_rate=7e-5, recompute=True))
