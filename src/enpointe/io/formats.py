"""File formats by suffix: what reads and writes clouds and meshes.

A format is a module of this package that registers a `Format` under each of its suffixes. All of triangles are read
by one stack, whoever asks: into a `Model` of triangles with materials and textures, for building data sets, or on
into a `Mesh` whose vertices have the colors. A file is untrusted: it is of a limited size, what it declares is held
against that, and files that it refers to are in its own folder.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import ArrayLike

from enpointe.core.errors import InputError
from enpointe.core.files import known_suffix, replacing
from enpointe.core.registry import Registry
from enpointe.core.warnings import LostDataWarning
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.io.assets.axes import z_up
from enpointe.io.assets.builder import GRAY, ModelBuilder
from enpointe.io.assets.files import Files, Siblings, read_bounded
from enpointe.io.assets.limits import CLOUD_LIMITS, OWN_LIMITS, AssetLimits
from enpointe.io.assets.model import Model
from enpointe.io.assets.vertices import to_mesh

CLOUD_BYTES = 4 * 2**30
"""Most that a file of a cloud may hold."""
BEGINNING = 1 << 20
"""Bytes that `Format.is_mesh` sees."""

Provenance = Mapping[str, Any] | None
Ability = Literal["read_cloud", "read_model", "write_cloud", "write_mesh"]


@dataclass(frozen=True)
class CloudArrays:
    """What a file holds of a cloud: points (n, 3), colors (n, 3) in [0, 1] if any, channels of n values."""

    points: ArrayLike
    colors: ArrayLike | None = None
    channels: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Format:
    """What can be done with files of one suffix; None is what cannot.

    Readers raise InputError where a file is not sound; its name is added by whoever calls them.

    Attributes:
        read_cloud: makes a file's bytes arrays, which are checked afterwards.
        read_model: adds the triangles in a file's bytes to a builder; the files beside it are at hand.
        y_up: whether those have y up; ours have z up.
        is_mesh: says of a file's beginning whether it is a mesh's. Needed where a format may hold either.
        read_provenance: the JSON object that `write_cloud` or `write_mesh` embedded, if any.
        write_cloud, write_mesh: write to an open file; provenance is for the place that the format has for remarks.
        channels: whether `write_cloud` writes a cloud's channels.
    """

    read_cloud: Callable[[bytes], CloudArrays] | None = None
    read_model: Callable[[bytes, Files, ModelBuilder], None] | None = None
    y_up: bool = False
    is_mesh: Callable[[bytes], bool] | None = None
    read_provenance: Callable[[bytes], dict[str, Any] | None] | None = None
    write_cloud: Callable[[BinaryIO, PointCloud, Provenance], None] | None = None
    write_mesh: Callable[[BinaryIO, Mesh, Provenance], None] | None = None
    channels: bool = False


FORMATS: Registry[Format] = Registry("file format", "enpointe.io")
"""By suffix in lower case: ".ply"."""


def suffixes(*abilities: Ability) -> list[str]:
    """The suffixes of formats that have one of the abilities, those of clouds first."""
    able = {suffix for suffix, form in FORMATS.items() if any(getattr(form, ability) for ability in abilities)}
    return sorted(able, key=lambda suffix: (FORMATS[suffix].read_cloud is None, suffix))


def holds_mesh(path: Path) -> bool:
    """Whether a file is one of a mesh, not of a cloud: by its suffix, or where that leaves it open, its beginning.

    Raises:
        InputError: the suffix is unknown, or the file cannot be read.
    """
    form = FORMATS[known_suffix(path, suffixes("read_cloud", "read_model"))]
    if form.read_cloud is None or form.read_model is None:
        return form.read_model is not None
    assert form.is_mesh is not None
    try:
        with path.open("rb") as file:
            return form.is_mesh(file.read(BEGINNING))
    except OSError as error:
        raise InputError(f"{path}: expected a file to read, found: {error.strerror or error}") from None


def load(path: Path) -> PointCloud | Mesh:
    """What a file holds; see `PointCloud.load` and `Mesh.load`."""
    return load_mesh(path) if holds_mesh(path) else load_cloud(path)


def load_cloud(path: Path) -> PointCloud:
    """See `PointCloud.load`."""
    read = FORMATS[known_suffix(path, suffixes("read_cloud"))].read_cloud
    assert read is not None
    with naming(path):
        arrays = read(_content(path, CLOUD_BYTES))
        points = np.asarray(arrays.points)
        colors = np.broadcast_to(GRAY, points.shape) if arrays.colors is None else np.asarray(arrays.colors)
        cloud = PointCloud(points, colors, arrays.channels)
    if arrays.colors is None:
        warnings.warn(f"{path}: no colors, so its points are gray", LostDataWarning, stacklevel=3)
    return cloud


def load_mesh(path: Path) -> Mesh:
    """See `Mesh.load`."""
    suffix = known_suffix(path, suffixes("read_model"))
    with naming(path):
        builder = ModelBuilder(OWN_LIMITS)
        files = Siblings(path.parent, OWN_LIMITS)
        model = _model(_content(path, OWN_LIMITS.bytes), suffix, files, builder)
        mesh = to_mesh(model, builder.vertices(), colored=builder.has_colors)
    if builder.lost:
        more = f", and {len(builder.lost) - 1} more" if len(builder.lost) > 1 else ""
        warnings.warn(f"{path}: colors are missing: {builder.lost[0]}{more}", LostDataWarning, stacklevel=3)
    return mesh


def read_model(
    data: bytes,
    suffix: str,
    files: Files,
    *,
    limits: AssetLimits = CLOUD_LIMITS,
    strict: bool = False,
    keep: Callable[[str], bool] = lambda node: True,
    palette: bool = False,
) -> Model:
    """A model from the bytes of a file, z up.

    Args:
        suffix: one of `suffixes("read_model")`.
        files: what it may refer to.
        strict: whether a missing or damaged texture or material file is an error; else it is done without.
        keep: chooses among the nodes of a glTF scene by name.
        palette: whether every texture of a glTF file is known to be a sheet of swatches.

    Raises:
        InputError: the file is damaged, empty, beyond the limits, or refers to files outside its folder.
    """
    return _model(data, suffix, files, ModelBuilder(limits, strict=strict, keep=keep, palette=palette))


def _model(data: bytes, suffix: str, files: Files, builder: ModelBuilder) -> Model:
    form = FORMATS[suffix]
    if form.read_model is None:
        raise InputError(f"expected a file of {', '.join(suffixes('read_model'))}, found {suffix!r}")
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # the builder refuses what comes of it
            form.read_model(data, files, builder)
        model = builder.build()
    except (InputError, MemoryError):
        raise
    except Exception as error:  # what a damaged tree runs into has no end of names
        raise InputError(f"expected a sound model in {suffix} format, found {error!r:.200}") from error
    return replace(model, triangles=z_up(model.triangles)) if form.y_up else model


def read_provenance(path: str | Path) -> dict[str, Any] | None:
    """What was embedded in a file when it was written: prompt, seed, settings.

    None where there is nothing, or the format's place for it is not read.

    Raises:
        InputError: the suffix is unknown, or the file damaged.
    """
    path = Path(path)
    read = FORMATS[known_suffix(path, FORMATS)].read_provenance
    with naming(path):
        return None if read is None else read(_content(path, CLOUD_BYTES))


def save_cloud(cloud: PointCloud, path: str | Path, provenance: Provenance = None) -> None:
    """See `PointCloud.save`."""
    form = FORMATS[known_suffix(Path(path), suffixes("write_cloud"))]
    assert form.write_cloud is not None
    with replacing(path) as file:
        form.write_cloud(file, cloud, provenance)
    if cloud.channels and not form.channels:
        lost = ", ".join(cloud.channels)
        warnings.warn(f"{path}: the format has no place for channels, left out: {lost}", LostDataWarning, stacklevel=3)


def save_mesh(mesh: Mesh, path: str | Path, provenance: Provenance = None) -> None:
    """See `Mesh.save`."""
    write = FORMATS[known_suffix(Path(path), suffixes("write_mesh"))].write_mesh
    assert write is not None
    with replacing(path) as file:
        write(file, mesh, provenance)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Adds a file's name to the block's InputErrors."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _content(path: Path, most: int) -> bytes:
    try:
        return read_bounded(path, most)
    except InputError as error:
        raise InputError(str(error).removeprefix(f"{path.name!r}: ")) from None
