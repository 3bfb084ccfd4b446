"""The embedded joint model as an encoder; imported when it is loaded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from enpointe.encoders.joint import JointSpace
from enpointe.evaluation.encoders import ImageTextEncoder
from enpointe.geometry.checks import Floats


class JointEncoder(ImageTextEncoder):
    """See `encoders.joint`."""

    name = "joint"
    note = (
        "R-Precision through the embedded joint model, which knows the embedded models' things and colors only and "
        "learned from renders like those that it judges: to compare runs of this tool with each other, never with "
        "published numbers"
    )
    score_title = "Text match"

    def __init__(self, space: JointSpace) -> None:
        self._space = space
        self.quality = space.quality  # measured on held-out objects when it was trained

    def encode_texts(self, texts: Sequence[str]) -> Floats:
        return self._space.encode_texts(texts)

    def encode_images(self, images: Sequence[NDArray[np.uint8]]) -> Floats:
        return self._space.encode_images(images)
