"""The one contract that every family of models keeps."""

from __future__ import annotations

import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self, overload

import torch
from PIL import Image

from enpointe import __version__
from enpointe.checkpoints.registry import ModelSpec
from enpointe.core.checks import MAX_POINTS, MAX_SEED, MIN_POINTS, USUAL_POINTS, number, whole
from enpointe.core.device import find_device
from enpointe.core.errors import InputError
from enpointe.core.precision import dtype_name
from enpointe.core.progress import ProgressCallback, shown
from enpointe.core.prompt import check_prompt
from enpointe.core.warnings import PromptWarning
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.pipelines.result import Result

ImageInput = Image.Image | str | Path
"""An image, or the path of its file."""

MAX_STEPS = 1000
MAX_GUIDANCE = 100.0


@dataclass(frozen=True)
class Request:
    """One cloud that is to be generated: from a text or an image, or from the seed alone."""

    seed: int
    prompt: str | None = None
    image: ImageInput | None = None


@dataclass(frozen=True)
class Settings:
    """How clouds are generated.

    Attributes:
        n_points: points of each cloud.
        steps: of the base stage's sampler.
        guidance_scale: how far to follow the input; 1 is plain conditional, and so is 0.
        sampler: name of the base stage's sampler.
    """

    n_points: int
    steps: int
    guidance_scale: float
    sampler: str


@dataclass(frozen=True)
class Drawn:
    """What a family made of requests.

    Attributes:
        clouds: in the requests' order.
        settings: of the later stages, for `meta`.
        seconds: that each stage took for all clouds together.
    """

    clouds: Sequence[PointCloud]
    settings: Mapping[str, Any]
    seconds: Mapping[str, float]


class Pipeline(ABC):
    """A model on one device: inputs become clouds, clouds denser clouds and meshes.

    Nothing is read or downloaded before it is needed.

    Args:
        preset: the name of the settings that hold where a call names none; the model's usual one by default.
        batch: clouds that the base stage draws at a time; by default what suits the device.
        dtype: what the networks compute in; by default what suits the model and the device.
        weights: a file of the base network, where it is not the model's own.

    Attributes:
        spec: what the registry says of the model.
        device: where it runs.
        preset: as given.
        batch: how many clouds are drawn at a time.
    """

    def __init__(
        self,
        spec: ModelSpec,
        device: torch.device,
        preset: str | None = None,
        *,
        batch: int | None = None,
        dtype: torch.dtype | None = None,
        weights: Path | None = None,
    ) -> None:
        self.spec = spec
        self.preset = spec.presets[0] if preset is None else preset
        self._batch, self._dtype, self._weights = batch, dtype, weights
        self.to(device)

    @property
    def name(self) -> str:
        """The model's name."""
        return self.spec.name

    @property
    def dtype(self) -> torch.dtype:
        """What the networks of the diffusion stages compute in."""
        return self._usual_dtype() if self._dtype is None else self._dtype

    @property
    @abstractmethod
    def hashes(self) -> Mapping[str, str]:
        """SHA-256 of every weight file read so far, by stage."""

    @overload
    def generate(
        self,
        prompt: str | None = None,
        *,
        image: ImageInput | None = None,
        seed: int = 0,
        n_points: int = USUAL_POINTS,
        steps: int | None = None,
        guidance_scale: float | None = None,
        sampler: str | None = None,
        progress: bool | ProgressCallback = True,
    ) -> Result: ...
    @overload
    def generate(
        self,
        prompt: list[str] | tuple[str, ...],
        *,
        image: None = None,
        seed: int | Sequence[int] = 0,
        n_points: int = USUAL_POINTS,
        steps: int | None = None,
        guidance_scale: float | None = None,
        sampler: str | None = None,
        progress: bool | ProgressCallback = True,
    ) -> list[Result]: ...
    @overload
    def generate(
        self,
        prompt: None = None,
        *,
        image: list[ImageInput] | tuple[ImageInput, ...],
        seed: int | Sequence[int] = 0,
        n_points: int = USUAL_POINTS,
        steps: int | None = None,
        guidance_scale: float | None = None,
        sampler: str | None = None,
        progress: bool | ProgressCallback = True,
    ) -> list[Result]: ...
    @overload
    def generate(
        self, prompt: None = None, *, image: None = None, seed: list[int] | tuple[int, ...],
        n_points: int = USUAL_POINTS, steps: int | None = None, guidance_scale: float | None = None,
        sampler: str | None = None, progress: bool | ProgressCallback = True,
    ) -> list[Result]: ...  # fmt: skip
    def generate(
        self,
        prompt: str | Sequence[str] | None = None,
        *,
        image: ImageInput | Sequence[ImageInput] | None = None,
        seed: int | Sequence[int] = 0,
        n_points: int = USUAL_POINTS,
        steps: int | None = None,
        guidance_scale: float | None = None,
        sampler: str | None = None,
        progress: bool | ProgressCallback = True,
    ) -> Result | list[Result]:
        """A cloud from a prompt, from an image or from the seed alone, as the model takes it; or several at once.

        A sample depends on its own input and seed only, not on what it is generated together with.

        Args:
            prompt: a text, or a list of texts for a list of results.
            image: an image or the path of its file, or a list of them for a list of results.
            seed: 0 <= seed < 2**63. Of several samples the i-th has seed + i, or the i-th of a list of seeds.
            n_points: points of each cloud, 64 to 65,536; those beyond what the base stage draws come from the
                upsampler.
            steps: of the base stage's sampler, 1 to 1,000; None: the preset's.
            guidance_scale: how far to follow the input, 0 to 100; 1 is plain conditional, and so is 0; None: the
                preset's.
            sampler: name of the base stage's sampler, one of `enpointe.samplers()`; None: the preset's.
            progress: True for a bar in a terminal or notebook, False for none, or a callback.

        Raises:
            InputError: an argument is out of range, or the model draws from something else.
            WeightsError: a file is missing or damaged. Both come before anything is drawn.

        Warns:
            PromptWarning: the prompt asks for something that the model does not know.
        """
        requests, single = _requests(prompt, image, seed)
        self.spec.check_inputs(
            text=any(r.prompt is not None for r in requests), image=any(r.image is not None for r in requests)
        )
        settings = self._settings(n_points, steps, guidance_scale, sampler)
        began = time.perf_counter()
        with shown(progress) as report:
            self._prepare(requests, settings, report)
            lines = {
                text: tuple(self.prompt_warnings(text))
                for text in dict.fromkeys(request.prompt for request in requests)
                if text is not None
            }
            for line in dict.fromkeys(line for found in lines.values() for line in found):
                warnings.warn(line, PromptWarning, stacklevel=2)
            loaded = time.perf_counter()
            drawn = self._generate(requests, settings, report)
        meta = {
            "settings": {
                **asdict(settings),
                **drawn.settings,
                "device": self.device.type,
                "dtype": dtype_name(self.dtype),
            },
            "seconds": {
                "load": round(loaded - began, 3),
                **{stage: round(seconds / len(requests), 3) for stage, seconds in drawn.seconds.items()},
            },
        }
        results = [
            Result(
                cloud,
                request.seed,
                request.prompt,
                _file_name(request.image),
                lines.get(request.prompt or "", ()),
                self._meta(request, meta, lines.get(request.prompt or "", ())),
                self,
            )
            for request, cloud in zip(requests, drawn.clouds, strict=True)
        ]
        return results[0] if single else results

    __call__ = generate

    @abstractmethod
    def upsample(
        self,
        cloud: PointCloud,
        *,
        n_points: int = USUAL_POINTS,
        seed: int = 0,
        progress: bool | ProgressCallback = True,
    ) -> PointCloud:
        """The cloud with new points between its own, up to `n_points`; its own points stay as they are.

        Args:
            cloud: in any frame. Its channels are left out: new points have none.
            n_points: from as many as the cloud has to 65,536.
            seed: 0 <= seed < 2**63.
            progress: as in `generate`.

        Raises:
            InputError: too few points in, or too many or too few wanted.
        """

    @abstractmethod
    def mesh(
        self,
        cloud: PointCloud,
        *,
        grid_size: int = 128,
        keep_small_pieces: bool = False,
        dense: bool = False,
        progress: bool | ProgressCallback = True,
    ) -> Mesh:
        """The cloud's surface, colored by its nearest points, faces outward, watertight.

        Args:
            cloud: in any frame.
            grid_size: samples along each axis of the grid that the surface is found on.
            keep_small_pieces: keep pieces with less than a fiftieth of the largest one's area.
            dense: evaluate the signed-distance network at every sample of the grid, as the release does, instead of
                near the surface only.
            progress: as in `generate`.

        Raises:
            MeshError: the network sees no closed surface in this cloud.
        """

    def prompt_warnings(self, prompt: str) -> list[str]:
        """What of a prompt the model ignores, one line each; none where its vocabulary is open.

        Raises:
            InputError: the prompt is blank, too long or no text.
        """
        check_prompt(prompt)
        return []

    @property
    @abstractmethod
    def samplers(self) -> tuple[str, ...]:
        """The names of the samplers that the base stage takes."""

    @property
    @abstractmethod
    def defaults(self) -> Settings:
        """The settings of a call that names none: the preset's."""

    def to(self, device: str | torch.device) -> Self:
        """Moves to another device; the networks are read again when they are next needed.

        Raises:
            InputError: no such device. DeviceError: this machine has none.
        """
        self.device = device if isinstance(device, torch.device) else find_device(device)
        self.batch = self._batch or self._usual_batch()
        self._reset()
        return self

    def info(self) -> dict[str, Any]:
        """What the model is and how it runs here, as JSON values."""
        return {
            "name": self.name,
            "about": self.spec.about,
            "inputs": list(self.spec.inputs),
            "stages": list(self.spec.stages),
            "nouns": [names[0] for names in self.spec.nouns],
            "preset": self.preset,
            "presets": list(self.spec.presets),
            "settings": asdict(self.defaults),
            "samplers": list(self.samplers),
            "device": str(self.device),
            "dtype": dtype_name(self.dtype),
            "hashes": dict(self.hashes),
        }

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.name!r}, {' or '.join(self.spec.inputs) or 'no input'} -> cloud, "
            f"preset {self.preset}, {self.device}, {dtype_name(self.dtype)})"
        )

    def _settings(
        self, n_points: int, steps: int | None, guidance_scale: float | None, sampler: str | None
    ) -> Settings:
        """The default settings, but for those that a call names; InputError where one is out of range."""
        named: dict[str, Any] = {}
        if steps is not None:
            named["steps"] = whole("steps", steps, 1, MAX_STEPS)
        if guidance_scale is not None:
            named["guidance_scale"] = number("guidance_scale", guidance_scale, 0, MAX_GUIDANCE)
        if sampler is not None:
            if sampler not in self.samplers:
                raise InputError(f"sampler: expected one of {', '.join(self.samplers)}, found {sampler!r}")
            named["sampler"] = sampler
        return replace(self.defaults, n_points=whole("n_points", n_points, MIN_POINTS, MAX_POINTS), **named)

    def _meta(self, request: Request, shared: Mapping[str, Any], lines: Sequence[str]) -> dict[str, Any]:
        """What `meta.json` says of one sample."""
        image = _file_name(request.image)
        return {
            "enpointe": __version__,
            "model": self.name,
            "preset": self.preset,
            **({} if request.prompt is None else {"prompt": request.prompt}),
            **({} if image is None else {"image": image}),
            "seed": request.seed,
            "warnings": list(lines),
            "hashes": self.hashes,  # shared: the mesh adds its own later
            **shared,
        }

    @abstractmethod
    def _prepare(self, requests: Sequence[Request], settings: Settings, report: ProgressCallback) -> None:
        """Checks images and reads every network that the requests need, so that no sample is drawn for nothing.

        Raises:
            InputError: an image cannot be read. WeightsError: a file is missing or damaged.
        """

    @abstractmethod
    def _generate(self, requests: Sequence[Request], settings: Settings, report: ProgressCallback) -> Drawn:
        """The clouds of prepared requests."""

    @abstractmethod
    def _reset(self) -> None:
        """Forgets the networks: the device is another one."""

    def _usual_batch(self) -> int:
        """`batch` where none is given: on a CPU several clouds together are no faster than one by one."""
        return 1 if self.device.type == "cpu" else 16

    def _usual_dtype(self) -> torch.dtype:
        """`dtype` where none is given."""
        return torch.float32


def _requests(
    prompt: str | Sequence[str] | None, image: ImageInput | Sequence[ImageInput] | None, seed: int | Sequence[int]
) -> tuple[list[Request], bool]:
    """The samples that arguments of `generate` stand for, and whether they are a single one rather than a list."""
    given: dict[str, Any] = {"prompt": prompt, "image": image, "seed": seed}
    lists = {name: values for name, values in given.items() if isinstance(values, list | tuple | range)}
    lengths = {name: len(values) for name, values in lists.items()}
    if 0 in lengths.values() or len(set(lengths.values())) > 1:
        found = ", ".join(f"{n} of {name}" for name, n in lengths.items())
        raise InputError(f"generate: expected lists of one length, not empty, found {found}")
    n = next(iter(lengths.values()), 1)
    columns = {name: lists[name] if name in lists else [value] * n for name, value in given.items()}
    if "seed" not in lists:
        first = whole("seed", seed, 0, MAX_SEED + 1 - n)
        columns["seed"] = range(first, first + n)
    requests = [
        Request(whole("seed", each, 0, MAX_SEED), None if text is None else check_prompt(text), shown)
        for text, shown, each in zip(*columns.values(), strict=True)
    ]
    return requests, not lists


def _file_name(image: Any) -> str | None:
    """The name of an image's file, without its folder; None for one that came from none."""
    path = image if isinstance(image, str | Path) else getattr(image, "filename", None)
    return Path(path).name if path else None
