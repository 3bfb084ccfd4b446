"""Actors of 0 A.D.: XML files that name an object's mesh, texture and props."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field

from enpointe.core.errors import InputError
from enpointe.io.assets.files import Files

MAX_XML = 1 << 20
_MAX_BASES = 8


@dataclass
class Actor:
    """An actor in its commonest variants.

    Attributes:
        mesh, texture: files below art/meshes and art/textures/skins; "" for none.
        material: the name of the file below art/materials.
        props: prop point -> actors that are attached there.
    """

    mesh: str = ""
    texture: str = ""
    material: str = ""
    props: dict[str, list[str]] = field(default_factory=dict)


def read_actor(name: str, files: Files, depth: int = 0) -> Actor:
    """The actor `name` ("structures/hellenes/stable.xml"): of each group of variants the most frequent one.

    Raises:
        InputError: it, or a variant that it is based on, is missing or damaged.
    """
    root = _parse(files, f"art/actors/{name}")
    if root.tag == "qualitylevels":  # the best comes last
        if depth >= _MAX_BASES:
            raise InputError(f"{name}: expected an actor, found one that refers to others {depth} times")
        levels = root.findall("actor")
        if not levels:
            raise InputError(f"{name}: expected an actor among the quality levels, found none")
        if levels[-1].get("file"):
            return read_actor(levels[-1].get("file", ""), files, depth + 1)
        root = levels[-1]
    actor = Actor(material=(root.findtext("material") or "").strip())
    for group in root.findall("group"):
        variants = group.findall("variant")
        if variants:
            chosen = max(variants, key=lambda variant: _frequency(variant.get("frequency")))
            _apply(actor, chosen, files, 0)
    return actor


def _frequency(written: str | None) -> float:
    try:
        return float(written or 0)
    except ValueError:
        return 0.0


def _parse(files: Files, path: str) -> ElementTree.Element:
    data = files.get(path)
    if len(data) > MAX_XML or b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise InputError(f"{path}: expected at most {MAX_XML} bytes of XML without a document type")
    try:
        return ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f"{path}: expected XML, found {error}") from error


def _apply(actor: Actor, variant: ElementTree.Element, files: Files, depth: int) -> None:
    """Overrides the actor with a variant; its base comes first."""
    base = variant.get("file")
    if base:
        if depth >= _MAX_BASES:
            raise InputError(f"expected variants that end in one without a base, found {_MAX_BASES} based on others")
        _apply(actor, _parse(files, f"art/variants/{base}"), files, depth + 1)
    actor.mesh = (variant.findtext("mesh") or "").strip() or actor.mesh
    for texture in variant.findall("textures/texture"):
        if texture.get("name") == "baseTex":
            actor.texture = texture.get("file", "")
    props = [(prop.get("attachpoint", ""), prop.get("actor", "")) for prop in variant.findall("props/prop")]
    for point, _ in props:
        actor.props[point] = []
    for point, other in props:
        if other:
            actor.props[point].append(other)
