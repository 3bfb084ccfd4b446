"""One row of a pool's arrays: a procedural object or a scene with its distances, or a real model without."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.data.asset_clouds import sample_asset
from enpointe.data.assets import Asset
from enpointe.data.pools.models import RealModel
from enpointe.data.procedural.families import FAMILIES
from enpointe.data.procedural.family import Assembly
from enpointe.data.procedural.sampling import sample_surface
from enpointe.data.procedural.scenes import Scene, compose
from enpointe.data.swatches import swatches

SCALE = 32767 / 0.625
"""Positions are 16-bit; queries may lie a little outside the unit cube."""
_ARTICLE = re.compile(r"^(?:an?|the)\s+", re.IGNORECASE)
FLAT = 0.02
"""A model whose thinnest side is below this part of its longest (a poster, a road marking) is no solid thing."""


@dataclass(frozen=True)
class Row:
    """points (P, 3), slot (P,), queries (Q, 3) and sdf (Q,) as a pool stores them, and what it is."""

    points: NDArray[np.int16]
    slot: NDArray[np.uint8]
    queries: NDArray[np.int16]
    sdf: NDArray[np.float16]
    family: str = ""
    words: tuple[Sequence[str], Sequence[str]] = ((), ())
    scene: Scene | None = None
    model: RealModel | None = None


def procedural_row(job: tuple[str, int, int, int, int]) -> Row:
    """An object of a family: (family, index, n_points, n_queries, seed) -> its row."""
    name, index, n_points, n_queries, seed = job
    rng = np.random.default_rng((seed, index))
    family = FAMILIES[name]
    assembly = family.assemble(rng)
    words = ([a for a in assembly.adjectives if a], [p for p in assembly.phrases if p])
    row = _assembly_row(assembly, [slot.name for slot in family.slots], n_points, n_queries, rng)
    return replace(row, family=name, words=words)


def scene_row(job: tuple[int, int, int, int]) -> Row:
    """A scene: (index, n_points, n_queries, seed) -> its row."""
    index, n_points, n_queries, seed = job
    rng = np.random.default_rng((seed, index, 1))
    scene, assembly = compose(rng)
    return replace(_assembly_row(assembly, scene.slots, n_points, n_queries, rng), scene=scene)


def _assembly_row(
    assembly: Assembly, slots: Sequence[str], n_points: int, n_queries: int, rng: np.random.Generator
) -> Row:
    surface = sample_surface(assembly, n_points, rng)
    slot_of_part = np.array([slots.index(part.slot) for part in assembly.parts], dtype=np.uint8)
    # Half of the queries close to the surface, where the mesh is decided, half anywhere in the box.
    near = n_queries // 2
    spread = rng.choice([0.01, 0.05], size=(near, 1))
    start = rng.integers(0, n_points, near)
    close = surface.points[start] + surface.normals[start] * rng.normal(0, spread)
    anywhere = rng.uniform(-0.55, 0.55, (n_queries - near, 3))
    queries = np.round(np.concatenate([close, anywhere]).clip(-0.6, 0.6) * SCALE).astype(np.int16)
    distance = assembly.sdf(queries / SCALE * surface.scale + surface.center) / surface.scale
    points = np.round(surface.points * SCALE).astype(np.int16)
    return Row(points, slot_of_part[surface.part], queries, distance.astype(np.float16))


def model_row(job: tuple[Asset, int, int, int, int]) -> Row | str:
    """A real model: (asset, index, n_points, n_queries, seed) -> its row, or why it has none."""
    asset, index, n_points, n_queries, seed = job
    try:
        cloud = sample_asset(asset, n_points, np.random.default_rng((seed, index)))
    except (InputError, OSError) as error:
        # sample_asset's errors begin with the key, the system's do not.
        return f"{asset.key}: {str(error).removeprefix(f'{asset.key}: ')}"
    thickness = float(np.ptp(cloud.points, axis=0).min())
    if thickness < FLAT:
        return f"{asset.key}: expected a solid thing, found one whose thinnest side is {thickness:.1%} of its longest"
    nouns = tuple(_ARTICLE.sub("", caption.rstrip(".")) for caption in asset.captions) or asset.nouns
    if not nouns:
        return f"{asset.key}: expected captions or nouns, found none"
    slot, colors = swatches(cloud.colors)
    shares = tuple((np.bincount(slot) / len(slot)).tolist())
    model = RealModel(asset.key, nouns, colors, asset.licence, asset.creator, asset.source, shares)
    return Row(
        np.round(cloud.points * SCALE).astype(np.int16),
        slot,
        np.zeros((n_queries, 3), np.int16),
        np.full(n_queries, np.nan, np.float16),
        model=model,
    )
