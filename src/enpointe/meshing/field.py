"""A trained SDF network as a field that the meshing asks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from enpointe.core.errors import InputError
from enpointe.core.precision import fast_dtype
from enpointe.meshing.sparse_grid import Field
from enpointe.nn.sdf import SDFTransformer
from enpointe.nn.sight import SightSDF

Floats = NDArray[np.float32]
SDFNetwork = SDFTransformer | SightSDF
"""The release's, and the embedded one."""


def sdf_field(
    network: SDFNetwork, points: Floats, device: torch.device, *, chunk: int = 16_384,
    dtype: torch.dtype | None = None, progress: Callable[[int], None] | None = None,
) -> Field:  # fmt: skip
    """The field of a cloud: points (n, 3) in the unit frame, encoded once.

    Args:
        chunk: queries at a time; bounds the memory.
        dtype: what the network computes its products in; by default the faster one on the device.
        progress: receives how many queries were answered.

    Raises:
        InputError: fewer points than the network shows to each query.
    """
    chosen = fast_dtype(device) if dtype is None else dtype

    def precision() -> torch.autocast:
        return torch.autocast(device.type, dtype=chosen, enabled=chosen != torch.float32)

    def tensor(values: Floats) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values))[None].to(device)

    with torch.inference_mode(), precision():
        decode = _decoder(network, points, tensor)

    def field(queries: Floats) -> Floats:
        values = np.empty(len(queries), np.float32)
        with torch.inference_mode(), precision():
            for start in range(0, len(queries), chunk):
                part = queries[start : start + chunk]
                values[start : start + chunk] = decode(part)[0].float().cpu().numpy()
                if progress is not None:
                    progress(min(start + chunk, len(queries)) - start)
        return values

    return field


def _decoder(
    network: SDFNetwork, points: Floats, tensor: Callable[[Floats], torch.Tensor]
) -> Callable[[Floats], torch.Tensor]:
    """Of queries (q, 3): their distances (1, q)."""
    if isinstance(network, SDFTransformer):
        latents = network.prepare(network.encode(tensor(points.T)))
        return lambda queries: network.decode(latents, tensor(queries.T))
    k = network.nearest
    if len(points) < k:
        raise InputError(f"signed distance: expected a cloud of at least {k} points, found {len(points)}")
    tree, grids = cKDTree(points), network.encode(tensor(points.T))

    def decode(queries: Floats) -> torch.Tensor:
        index = tree.query(queries, k=range(1, k + 1), workers=-1)[1]
        return network.decode(grids, tensor(queries.T), tensor(points[index] - queries[:, None]))

    return decode
