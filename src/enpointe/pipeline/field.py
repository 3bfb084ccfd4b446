"""A trained SDF network as a field that the meshing asks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from enpointe.errors import InputError
from enpointe.geometry.subsample import random
from enpointe.nn.sdf import SDFTransformer
from enpointe.pipeline.sparse_grid import Field

Floats = NDArray[np.float32]

ENCODED_POINTS = 1024
"""Of a denser cloud, where the network sees the nearest of all points beside them."""


def sdf_field(
    network: SDFTransformer, points: Floats, device: torch.device, *, chunk: int = 16_384,
    half: bool | None = None, progress: Callable[[int], None] | None = None,
) -> Field:  # fmt: skip
    """The field of a cloud: points (n, 3) in the unit frame, encoded once.

    What a query costs is mostly its attention to the encoded points. A network that is also shown the query's nearest
    points has the detail from these, of the whole cloud: a random 1,024 of the points are encoded for it, as many as
    it was trained with, and its answers are as good as with four times as many.

    Args:
        chunk: queries at a time; bounds the memory.
        half: whether the network runs in bfloat16; by default on a CPU and with CUDA.
        progress: told how many queries were answered.

    Raises:
        InputError: fewer points than the network shows to each query.
    """
    if len(points) < network.nearest:
        raise InputError(f"signed distance: expected a cloud of at least {network.nearest} points, found {len(points)}")

    in_half = device.type in ("cpu", "cuda") if half is None else half

    def precision() -> torch.autocast:
        return torch.autocast(device.type, dtype=torch.bfloat16, enabled=in_half)

    def tensor(values: Floats) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values))[None].to(device)

    tree = cKDTree(points)
    encoded = points
    if network.nearest and len(points) > ENCODED_POINTS:
        encoded = points[random(points, ENCODED_POINTS, generator=np.random.default_rng(0))]
    with torch.inference_mode(), precision():
        latents = network.prepare(network.encode(tensor(encoded.T)))

    def field(queries: Floats) -> Floats:
        values = np.empty(len(queries), np.float32)
        with torch.inference_mode(), precision():
            for start in range(0, len(queries), chunk):
                part = queries[start : start + chunk]
                nearest = None
                if network.nearest:
                    index = tree.query(part, k=range(1, network.nearest + 1), workers=-1)[1]
                    nearest = tensor(points[index] - part[:, None])
                values[start : start + chunk] = (
                    network.decode(latents, tensor(part.T), nearest)[0].float().cpu().numpy()
                )
                if progress is not None:
                    progress(min(start + chunk, len(queries)) - start)
        return values

    return field
