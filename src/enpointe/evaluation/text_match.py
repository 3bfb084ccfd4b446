"""R-Precision of gathered samples: which of the prompts their pictures look like most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.errors import WeightsError
from enpointe.evaluation.gather import Gathered
from enpointe.evaluation.measures import Row, Score
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud


class TextMatch:
    """An encoder of texts and pictures, and how pictures are made for it."""

    def features_of(self, cloud: PointCloud, mesh: Mesh | None) -> NDArray[np.float32]:
        raise NotImplementedError

    def about(self) -> dict[str, Any]:
        raise NotImplementedError


def load_text_match(choice: str, device: str) -> TextMatch:
    raise WeightsError("not there yet")


def measure_text_match(
    match: TextMatch, samples: Gathered, texts: Sequence[str], rows: list[Row], seed: int
) -> list[Score] | str:
    raise NotImplementedError
