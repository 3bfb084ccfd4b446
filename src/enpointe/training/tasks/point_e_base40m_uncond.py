"""The released base40M-uncond: nothing -> 1,024 points."""

from __future__ import annotations

from enpointe.training.tasks import RECIPES
from enpointe.training.tasks._point_e import released_recipe

RECIPES.register("point-e-base40m-uncond")(released_recipe("base40M-uncond", learning_rate=1e-4))
