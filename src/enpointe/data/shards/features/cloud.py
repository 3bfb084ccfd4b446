"""The descriptor of a record's cloud."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enpointe.data.shards.descriptors import descriptor
from enpointe.data.shards.features import FEATURES, Features
from enpointe.data.shards.records import Record


def cloud_features(record: Record) -> NDArray[np.floating]:
    """See `descriptors.descriptor`."""
    cloud = record.cloud()
    return descriptor(cloud.points, cloud.colors)


@FEATURES.register("cloud")
def open_cloud_features() -> Features:
    return cloud_features
