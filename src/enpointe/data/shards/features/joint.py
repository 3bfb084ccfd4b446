"""What an image encoder makes of a record's views, such as the embedded joint model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.data.shards.features import FEATURES, Features
from enpointe.data.shards.records import Record
from enpointe.render.software.perspective import RenderConfig


def image_features(encode: Callable[[Sequence[NDArray[np.uint8]]], NDArray[np.floating]], views: int = 4) -> Features:
    """Features by an image encoder: the mean over a record's first `views` views, on a light background.

    Args:
        encode: images (h, w, 3) -> (n, d), such as `JointSpace.encode_images`.
    """
    background = 255 * np.array(RenderConfig().background)

    def features(record: Record) -> NDArray[np.floating]:
        if not record.views:
            raise InputError(f"{record.key}: expected images to find buckets by, found none")
        images = [view.pixels() for view in record.views[:views]]
        opacity = [image[..., 3:] / 255 for image in images]
        blended = [p[..., :3] * a + background * (1 - a) for p, a in zip(images, opacity, strict=True)]
        return encode([np.rint(image).astype(np.uint8) for image in blended]).mean(axis=0)

    return features


@FEATURES.register("joint")
def open_joint_features() -> Features:
    """Those of the embedded joint model.

    Raises:
        WeightsError: its weights are damaged.
    """
    import torch

    from enpointe.checkpoints.embedded import load_joint

    return image_features(load_joint(torch.device("cpu")).encode_images)
