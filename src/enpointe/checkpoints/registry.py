"""Every model by name: what it draws from, its stages, its files. Needs no PyTorch.

The specs are registered by the families themselves (`enpointe.pipelines.families`); other packages add theirs through
the entry point group "enpointe.models".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from enpointe.core.errors import InputError
from enpointe.core.registry import Registry

Input = Literal["text", "image"]

ASSETS = Path(__file__).resolve().parent.parent / "assets"
"""The folder of the weights that come with the package."""


@dataclass(frozen=True)
class ReleasedFile:
    """A checkpoint as the public release published it.

    Attributes:
        file: its name at the release's address.
        parameters: how many numbers it holds; in float32 it takes four bytes for each.
        nested: whether its state dict lies beside what its training needed.
    """

    file: str
    parameters: int
    nested: bool = False

    @property
    def n_bytes(self) -> int:
        """Its size in float32, without the little that a file format adds."""
        return 4 * self.parameters


@dataclass(frozen=True)
class ModelSpec:
    """What is known of a model without reading its weights.

    Attributes:
        name: as `enpointe.load` takes it.
        about: what it takes and gives, on one line.
        pipeline: "module:class" of what generates with it, imported when it is loaded; None for a network that
            pipelines or metrics use and that generates nothing by itself.
        inputs: what a cloud can be drawn from; empty for a model that draws from its seed alone.
        stages: its networks in the order in which they work.
        presets: names of its settings, the usual one first.
        files: names of its weight files among those that come with the package.
        released: the public release's file, downloaded when it is first used.
        nouns: the things that it knows, each with its usual noun first; empty for an open vocabulary.
    """

    name: str
    about: str
    pipeline: str | None = None
    inputs: tuple[Input, ...] = ()
    stages: tuple[str, ...] = ()
    presets: tuple[str, ...] = ("fast",)
    files: tuple[str, ...] = ()
    released: ReleasedFile | None = None
    nouns: tuple[tuple[str, ...], ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """Its weight files that come with the package."""
        return tuple(ASSETS / file for file in self.files)

    def check_inputs(self, *, text: bool, image: bool) -> None:
        """InputError where the model is not given what it draws from, or is given what it would ignore.

        Args:
            text, image: what it is given.
        """
        given: dict[Input, bool] = {"text": text, "image": image}
        takes = f"{self.name} draws from {' or '.join(map(_article, self.inputs)) or 'nothing but the seed'}"
        for kind, is_given in given.items():
            if is_given and kind not in self.inputs:
                others = ", ".join(spec.name for spec in generators().values() if kind in spec.inputs)
                raise InputError(f"{takes}: expected no {kind}, found one; for that: {others}")
        if self.inputs and not any(given[kind] for kind in self.inputs):
            raise InputError(f"{takes}: expected one, found none")


MODELS: Registry[ModelSpec] = Registry("model", "enpointe.pipelines.families", group="enpointe.models")


def register_model(spec: ModelSpec) -> ModelSpec:
    """Makes a model known under its name; InputError where another has it."""
    return MODELS.register(spec.name)(spec)


def generators() -> dict[str, ModelSpec]:
    """The models that generate clouds, those that come with the package first."""
    return {spec.name: spec for spec in all_models() if spec.pipeline is not None}


def all_models() -> list[ModelSpec]:
    """Every model, those that come with the package first."""
    return sorted(MODELS.values(), key=lambda spec: spec.released is not None)


def generator(name: str) -> ModelSpec:
    """The model of that name that generates clouds; InputError, which lists them, where there is none."""
    if name not in generators():
        raise InputError(f"model: expected one of {', '.join(generators())}, found {name!r}")
    return MODELS[name]


def released_models() -> dict[str, ReleasedFile]:
    """The public release's checkpoints (arXiv 2212.08751, sections 4 and 5) by name."""
    return {spec.name: spec.released for spec in MODELS.values() if spec.released is not None}


def released_file(name: str) -> ReleasedFile:
    """The file of a released model; InputError where there is none of that name."""
    released = released_models()
    if name not in released:
        raise InputError(f"released checkpoint: expected one of {', '.join(released)}; got {name!r}")
    return released[name]


def _article(kind: Input) -> str:
    return f"a{'n' if kind == 'image' else ''} {kind}"
