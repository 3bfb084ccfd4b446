"""CLIP: ViT-L/14, which the released models see texts and images through (Point-E, section 4.1), and others of it.

The network and its tokenizer are transformers' own; what is here is which of its numbers are taken.
"""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from enpointe.core.errors import InputError, WeightsError
from enpointe.core.offline import SWITCHES, is_offline
from enpointe.encoders.images import clip_pixels

if TYPE_CHECKING:
    from transformers import CLIPModel, CLIPTokenizerFast

NAME = "openai/clip-vit-large-patch14"


class Release(NamedTuple):
    """A published CLIP."""

    name: str
    """On the Hugging Face hub."""
    folder: str
    """Environment variable that may name the folder of its files."""
    download: str
    """How much that is."""


LARGE = Release(NAME, "ENPOINTE_CLIP", "1.7 GB")
BASE = Release("openai/clip-vit-base-patch32", "ENPOINTE_CLIP_B32", "0.6 GB")

BATCH = 32
"""Texts or images in one pass: enough to keep the processor busy, little enough for any memory."""

# CLIP's own tokenizer tidies its texts before it splits them, and transformers' leaves that out. Characters that
# are another way to write a plain one: curly quotation marks, the Latin ligatures, the full-width forms.
_PLAIN = (
    dict.fromkeys(map(ord, "\u2018\u2019\u201a\u201b\u02bc"), "'")
    | dict.fromkeys(map(ord, "\u201c\u201d\u201e\u201f"), '"')
    | dict(zip(range(0xFB00, 0xFB05), ("ff", "fi", "fl", "ffi", "ffl"), strict=True))
    | {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
)

Items = TypeVar("Items", Sequence[str], Sequence[Image.Image], Tensor)


@dataclass(frozen=True)
class Clip:
    """A frozen CLIP. Sizes are the config's; those named below are ViT-L/14's.

    Attributes:
        model: transformers' CLIPModel, float32, in evaluation mode.
        tokenizer: byte-pair encoding, lower case.
    """

    model: CLIPModel
    tokenizer: CLIPTokenizerFast

    @property
    def device(self) -> torch.device:
        """Where the network is, and where its outputs are."""
        device: torch.device = self.model.logit_scale.device
        return device

    @property
    def max_tokens(self) -> int:
        """How many tokens of a text are read, start and end marks counted."""
        return int(self.model.config.text_config.max_position_embeddings)

    @property
    def image_size(self) -> int:
        """Pixels along a side of an image as it is seen."""
        return int(self.model.config.vision_config.image_size)

    def n_tokens(self, prompt: str) -> int:
        """Tokens of a text with its start and end marks, before any cut."""
        return len(self.tokenizer(_tidy(prompt)).input_ids)

    def texts(self, prompts: Sequence[str]) -> Tensor:
        """Text vectors of unit length: (N, 768), float32.

        A text is cut at 77 tokens, its start and end marks counted and kept; an empty one is valid.

        Raises:
            InputError: no prompt, or a single string where a sequence of them is expected.
        """
        if isinstance(prompts, str):
            raise InputError("prompts: expected a sequence of texts, got one text")
        return _batched(lambda part: self._text_vectors(token_ids(self.tokenizer, part, self.max_tokens)), prompts)

    def images(self, images: Sequence[Image.Image]) -> Tensor:
        """Image vectors of unit length: (N, 768), float32.

        Raises:
            InputError: no image, or one that `clip_pixels` refuses.
        """
        return _batched(lambda part: self._vectors(self._pixels(part)), images)

    def grids(self, images: Sequence[Image.Image]) -> Tensor:
        """Image grids (N, 1024, 256), float32: for each channel the 16 x 16 patches, row by row.

        They are the last block's hidden states, before the layer norm that follows it, without the class token.

        Raises:
            InputError: no image, or one that `clip_pixels` refuses.
        """
        return _batched(lambda part: self._grids(self._pixels(part)), images)

    def texts_of(self, ids: Tensor) -> Tensor:
        """Vectors (N, 768) of texts that are `token_ids` already, (N, L)."""
        return _batched(self._text_vectors, ids)

    def vectors_of(self, pixels: Tensor) -> Tensor:
        """Vectors (N, 768) of images that are pixels already, (N, 3, 224, 224) as `clip_pixels` makes them."""
        return _batched(self._vectors, pixels)

    def grids_of(self, pixels: Tensor) -> Tensor:
        """Grids (N, 1024, 256) of images that are pixels already, (N, 3, 224, 224) as `clip_pixels` makes them."""
        return _batched(self._grids, pixels)

    def _text_vectors(self, ids: Tensor) -> Tensor:
        # Without a mask: attention is causal and the padding comes after the end mark, whose state is read.
        pooled = self.model.text_model(input_ids=ids.to(self.device)).pooler_output
        return F.normalize(self.model.text_projection(pooled), dim=-1)

    def _vectors(self, pixels: Tensor) -> Tensor:
        return F.normalize(self.model.visual_projection(self._vision(pixels).pooler_output), dim=-1)

    def _grids(self, pixels: Tensor) -> Tensor:
        # transformers' last hidden state of the vision tower is not layer-normed; only its pooled vector is.
        states: Tensor = self._vision(pixels).last_hidden_state
        return states[:, 1:].transpose(1, 2).contiguous()

    def _vision(self, pixels: Tensor) -> Any:
        return self.model.vision_model(pixel_values=pixels.to(self.device))

    def _pixels(self, images: Sequence[Image.Image]) -> Tensor:
        return torch.stack([clip_pixels(image, self.image_size) for image in images])


def token_ids(tokenizer: CLIPTokenizerFast, prompts: Sequence[str], max_tokens: int, *, whole: bool = False) -> Tensor:
    """Texts as the text network takes them: (N, L) int64, cut to `max_tokens` with their end marks kept.

    Args:
        whole: L is `max_tokens` whatever the texts are, not the longest one's.
    """
    tidy, padding = [_tidy(prompt) for prompt in prompts], "max_length" if whole else True
    encoded = tokenizer(tidy, padding=padding, truncation=True, max_length=max_tokens, return_tensors="pt")
    ids: Tensor = encoded["input_ids"]
    return ids


def _tidy(prompt: str) -> str:
    return html.unescape(html.unescape(prompt.translate(_PLAIN))).strip()


@lru_cache(maxsize=2)
def clip(device: torch.device, release: Release = LARGE) -> Clip:
    """CLIP on a device, loaded once for each.

    Read from the folder that the environment's ENPOINTE_CLIP names (for another release `Release.folder`), as
    `save_pretrained` or a clone leaves it, else from the local Hugging Face cache. Only where neither has it is it
    downloaded (1.7 GB), by transformers, unless the environment forbids it, see `enpointe.core.offline`.

    Raises:
        InputError: transformers is not installed.
        WeightsError: the files are missing, damaged or another network's, or could not be downloaded.
    """
    try:
        import transformers  # noqa: F401 - seconds of import, for those only who need it
    except ImportError as error:
        raise InputError(
            f"this model needs CLIP, which needs transformers: pip install 'enpointe[clip]' ({error})"
        ) from error
    folder = os.environ.get(release.folder)
    if folder:
        if not (Path(folder) / "config.json").is_file():
            raise WeightsError(
                f"{release.folder}: expected a folder that holds {release.name}, no config.json in {folder}"
            )
        found = _load(folder)
    else:
        found = _from_hub(release)
    return Clip(found.model.to(device), found.tokenizer)


def is_at_hand(release: Release) -> bool:
    """Whether `clip` needs no network: transformers is installed, and a folder is named or the cache has weights."""
    try:
        import transformers  # noqa: F401
    except ImportError:
        return False
    if os.environ.get(release.folder):
        return True  # a wrong one is reported when it is read
    folder = _cached(release)
    return folder is not None and any(
        (Path(folder) / name).is_file() for name in ("model.safetensors", "pytorch_model.bin")
    )


def _cached(release: Release) -> str | None:
    """Its folder in the local Hugging Face cache."""
    from transformers.utils.hub import try_to_load_from_cache

    config = try_to_load_from_cache(release.name, "config.json")
    return str(Path(config).parent) if isinstance(config, str) else None


def _from_hub(release: Release) -> Clip:
    # The cache's folder is read as a folder: a look-up by name may reach for the network although that is forbidden.
    folder = _cached(release)
    if folder is not None:
        try:
            return _load(folder)
        except WeightsError as error:
            if not isinstance(error.__cause__, OSError):  # transformers' way to say that a file is not there
                raise
    manual = f"or fetch its files ({release.download}) elsewhere and set {release.folder} to their folder"
    if is_offline():
        raise WeightsError(
            f"{release.name} is not, or not whole, in the local Hugging Face cache, and the environment forbids the "
            f"network; unset {', '.join(SWITCHES)}, {manual}"
        )
    try:
        return _load(release.name, download=True)
    except WeightsError as error:
        raise WeightsError(
            f"{release.name} could not be downloaded; try again, {manual} ({error.__cause__})"
        ) from error


def _load(source: str, *, download: bool = False) -> Clip:
    """CLIP from a folder, or by its name through the network; on the CPU."""
    from transformers import CLIPModel, CLIPTokenizerFast

    local = {"local_files_only": not download}
    try:
        with _quiet(progress=download):
            tokenizer = CLIPTokenizerFast.from_pretrained(source, **local)
            model, report = CLIPModel.from_pretrained(
                source, dtype=torch.float32, attn_implementation="sdpa", output_loading_info=True, **local
            )
    except Exception as error:  # a damaged file fails in every way that transformers' many parsers can
        raise WeightsError(f"{source}: expected a CLIP network and its tokenizer, got {error}") from error
    if report["missing_keys"]:  # transformers fills these with random numbers
        missing = sorted(report["missing_keys"])
        raise WeightsError(f"{source}: expected all of CLIP's weights, {len(missing)} missing, such as {missing[0]}")
    return Clip(model.requires_grad_(False).eval(), tokenizer)


@contextmanager
def _quiet(*, progress: bool) -> Iterator[None]:
    """Keeps transformers from writing to the terminal while it loads; a download's progress may show."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    if not progress:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@torch.no_grad()
def _batched(encode: Callable[[Items], Tensor], items: Items) -> Tensor:
    """`encode` applied to BATCH items at a time."""
    if not len(items):
        raise InputError("CLIP: expected at least one text or image, got none")
    return torch.cat([encode(items[start : start + BATCH]) for start in range(0, len(items), BATCH)])
