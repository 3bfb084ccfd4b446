"""CLIP: which of its numbers are taken, on a tiny random one; and what happens where there is none."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from enpointe.core.errors import InputError, WeightsError
from enpointe.encoders import clip as clip_module
from enpointe.encoders.clip import BATCH, NAME, Clip, clip, token_ids
from enpointe.encoders.images import clip_pixels
from rounding import assert_same_sums
from tiny_clip import CONTEXT, PATCH, PROJECTION, SIZE, VISION, save_tiny_clip

CPU = torch.device("cpu")
PROMPTS = ["a red chair", "", "a small boat with 2 masts", "chair"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    save_tiny_clip(folder)
    return folder


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[None]:
    """Every test loads anew, from `folder`, and none so much as looks up a name in the network."""
    lookups: list[object] = []

    def refuse(*args: object, **_kwargs: object) -> None:
        lookups.append(args)
        raise OSError("no network in tests")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("ENPOINTE_CLIP", str(folder))
    monkeypatch.setenv("ENPOINTE_OFFLINE", "1")
    clip.cache_clear()
    yield
    clip.cache_clear()
    assert not lookups


@pytest.fixture
def tiny() -> Clip:
    return clip(CPU)


def noise(n: int) -> list[Image.Image]:
    rng = np.random.default_rng(n)
    return [Image.fromarray(rng.integers(0, 256, (70, 60 + 5 * i, 3), dtype=np.uint8)) for i in range(n)]


def assert_unit_vectors(found: Tensor, n: int) -> None:
    assert found.shape == (n, PROJECTION)
    assert found.dtype == torch.float32
    assert torch.allclose(found.norm(dim=-1), torch.ones(n), atol=1e-5)


@pytest.mark.slow
def test_the_network_is_as_the_release_has_it(tiny: Clip) -> None:
    assert tiny.device == CPU
    assert tiny.model.config.vision_config.hidden_act == "quick_gelu"
    assert tiny.model.vision_model.config._attn_implementation == "sdpa"
    assert not tiny.model.training
    assert not any(parameter.requires_grad for parameter in tiny.model.parameters())
    assert clip(CPU) is tiny


@pytest.mark.slow
def test_texts(tiny: Clip) -> None:
    found = tiny.texts(PROMPTS)
    assert_unit_vectors(found, 4)
    assert torch.pdist(found).min() > 1e-3
    for row, prompt in zip(found, PROMPTS, strict=True):  # whatever batch and padding a text is in
        assert_same_sums(tiny.texts([prompt])[0], row, tiny.model.text_model)


def ids_seen(tiny: Clip, prompt: str) -> list[int]:
    seen: list[Tensor] = []
    hook = tiny.model.text_model.embeddings.register_forward_hook(
        lambda _module, _args, kwargs, _output: seen.append(kwargs["input_ids"]), with_kwargs=True
    )
    tiny.texts([prompt])
    hook.remove()
    return seen[0][0].tolist()


@pytest.mark.slow
def test_texts_are_what_the_projected_end_state_says(tiny: Clip) -> None:
    ids = torch.tensor([ids_seen(tiny, "red")])
    assert ids.tolist() == [[514, 513, 515]]
    states = tiny.model.text_model(input_ids=ids).last_hidden_state
    expected = states[0, 2] @ tiny.model.text_projection.weight.T
    assert_same_sums(tiny.texts(["red"])[0], expected / expected.norm(), tiny.model.text_model)


def test_a_long_text_is_cut_and_keeps_its_end(tiny: Clip) -> None:
    ids = ids_seen(tiny, "red " * 200)
    assert ids == [514, *[513] * (CONTEXT - 2), 515]
    found = tiny.texts(["red " * 200, "red " * 75, "red " * 74, "red " * 75 + "boat"])
    assert_same_sums(found[0], found[1], tiny.model.text_model)
    assert_same_sums(found[0], found[3], tiny.model.text_model)
    assert (found[0] - found[2]).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("RED  Chair\n", "red chair"),
        ("a child\u2019s \u201cchair\u201d", 'a child\'s "chair"'),
        ("salt &amp;amp; pepper &lt;3", "salt & pepper <3"),
        ("\ufb01re-\uff52\uff45\uff44", "fire-red"),
    ],
)
def test_texts_are_tidied_as_clip_does(tiny: Clip, written: str, plain: str) -> None:
    assert ids_seen(tiny, written) == ids_seen(tiny, plain)


def test_pictures(tiny: Clip) -> None:
    images = noise(3)
    found = tiny.images(images)
    assert_unit_vectors(found, 3)
    assert torch.pdist(found).min() > 1e-3
    pixels = torch.stack([clip_pixels(image, SIZE) for image in images])
    features: Any = tiny.model.get_image_features(pixel_values=pixels)
    features = getattr(features, "pooler_output", features)
    assert_same_sums(found, features / features.norm(dim=-1, keepdim=True), tiny.model.vision_model)


def test_grids_are_the_last_blocks_output_before_the_layer_norm(tiny: Clip) -> None:
    images = noise(2)
    seen: list[Any] = []
    tiny.model.vision_model.encoder.layers[-1].register_forward_hook(lambda _module, _args, out: seen.append(out))
    found = tiny.grids(images)
    states = seen[0] if isinstance(seen[0], Tensor) else seen[0][0]
    assert found.shape == (2, VISION, (SIZE // PATCH) ** 2)
    assert found.is_contiguous()
    assert torch.equal(found, states[:, 1:].transpose(1, 2))
    normed = tiny.model.vision_model.post_layernorm(states)[:, 1:].transpose(1, 2)
    assert (found - normed).abs().mean() > 0.1


def test_pixels_made_elsewhere_give_the_same(tiny: Clip) -> None:
    images = noise(3)
    pixels = torch.stack([clip_pixels(image, tiny.image_size) for image in images])
    assert torch.equal(tiny.vectors_of(pixels), tiny.images(images))
    assert torch.equal(tiny.grids_of(pixels), tiny.grids(images))


def test_token_ids_made_elsewhere_give_the_same(tiny: Clip) -> None:
    ids = token_ids(tiny.tokenizer, PROMPTS, tiny.max_tokens, whole=True)
    assert ids.shape == (len(PROMPTS), CONTEXT)
    torch.testing.assert_close(tiny.texts_of(ids), tiny.texts(PROMPTS), rtol=1e-5, atol=1e-6)


def test_patches_lie_row_by_row(tiny: Clip) -> None:
    """With the blocks taken out, only the patches of the picture's changed quarter change."""
    tiny.model.vision_model.encoder.layers = torch.nn.ModuleList()
    values = np.zeros((SIZE, SIZE, 3), np.uint8)
    before = tiny.grids([Image.fromarray(values)])
    values[:PATCH, PATCH:] = 255
    changed = (tiny.grids([Image.fromarray(values)]) - before)[0].abs().amax(0) > 1e-6
    assert changed.reshape(4, 4).tolist() == [[False, True, True, True], *[[False] * 4] * 3]


def test_batches_do_not_change_an_answer(tiny: Clip) -> None:
    images = noise(BATCH + 3)
    for encode in (tiny.images, tiny.grids):
        found = encode(images)
        assert found.shape[0] == BATCH + 3
        for index in (0, BATCH - 1, BATCH, BATCH + 2):
            assert_same_sums(found[index], encode([images[index]])[0], tiny.model.vision_model)
    prompts = [f"chair {index}" for index in range(BATCH + 2)]
    assert_same_sums(tiny.texts(prompts)[-1], tiny.texts(prompts[-1:])[0], tiny.model.text_model)


def test_wrong_arguments(tiny: Clip) -> None:
    with pytest.raises(InputError, match="sequence of texts"):
        tiny.texts("a chair")
    for encode in (tiny.texts, tiny.images, tiny.grids):
        with pytest.raises(InputError, match="at least one"):
            encode([])


def test_half_precision_files_become_float32(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    weights = {key: value.half() for key, value in load_file(folder / "model.safetensors").items()}
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    config = json.loads((tmp_path / "config.json").read_text()) | {"dtype": "float16"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    monkeypatch.setenv("ENPOINTE_CLIP", str(tmp_path))
    assert clip(CPU).grids(noise(1)).dtype == torch.float32


def damaged(folder: Path, what: str) -> None:
    from safetensors.torch import load_file, save_file

    weights = folder / "model.safetensors"
    if what == "truncated":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif what == "no weights":
        weights.unlink()
    elif what == "no tokenizer":
        for name in ("vocab.json", "merges.txt"):
            (folder / name).write_text("")
    elif what == "config":
        (folder / "config.json").write_text("{")
    else:
        tensors = load_file(weights)
        key = "vision_model.post_layernorm.bias"
        if what == "missing":
            del tensors[key]
        else:
            tensors[key] = torch.zeros(3)
        save_file(tensors, weights, {"format": "pt"})


@pytest.mark.parametrize("what", ["truncated", "no weights", "no tokenizer", "config", "missing", "shape"])
def test_damaged_folders(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    damaged(tmp_path, what)
    monkeypatch.setenv("ENPOINTE_CLIP", str(tmp_path))
    with pytest.raises(WeightsError, match=str(tmp_path)):
        clip(CPU)


def test_a_folder_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (tmp_path, tmp_path / "none"):
        monkeypatch.setenv("ENPOINTE_CLIP", str(path))
        with pytest.raises(WeightsError, match=r"ENPOINTE_CLIP.*no config\.json"):
            clip(CPU)


@pytest.fixture
def hub_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty Hugging Face cache; no folder is named, and nothing forbids the network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for name in ("ENPOINTE_CLIP", "ENPOINTE_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def fill(hub_cache: Path, folder: Path) -> Path:
    """Puts `folder` where a download would put it; returns the snapshot's folder."""
    repository = hub_cache / f"models--{NAME.replace('/', '--')}"
    snapshot = repository / "snapshots" / ("01234567" * 5)
    shutil.copytree(folder, snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(snapshot.name)
    return snapshot


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would have been downloaded: the network is taken away below `_load`, which fails as transformers does."""
    downloads: list[str] = []
    load = clip_module._load

    def without_network(source: str, *, download: bool = False) -> Clip:
        if not download:
            return load(source)
        downloads.append(source)
        raise WeightsError("not there") from OSError("no route to host")

    monkeypatch.setattr(clip_module, "_load", without_network)
    return downloads


def test_the_cache_is_read_silently(
    folder: Path, hub_cache: Path, downloads: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    fill(hub_cache, folder)
    assert_unit_vectors(clip(CPU).texts(["red"]), 1)
    assert downloads == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("missing", [None, "model.safetensors"])
def test_what_the_cache_lacks_is_downloaded(
    folder: Path, hub_cache: Path, downloads: list[str], missing: str | None
) -> None:
    if missing:
        (fill(hub_cache, folder) / missing).unlink()
    with pytest.raises(WeightsError, match=r"could not be downloaded.*ENPOINTE_CLIP.*no route to host"):
        clip(CPU)
    assert downloads == [NAME]


@pytest.mark.parametrize("switch", ["ENPOINTE_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_nothing_is_downloaded(
    hub_cache: Path, downloads: list[str], monkeypatch: pytest.MonkeyPatch, switch: str
) -> None:
    monkeypatch.setenv(switch, "1")
    with pytest.raises(WeightsError, match=r"forbids the network.*ENPOINTE_CLIP"):
        clip(CPU)
    assert downloads == []
    monkeypatch.setenv(switch, "0")
    with pytest.raises(WeightsError, match="could not be downloaded"):
        clip(CPU)


def test_a_damaged_cache_is_named_and_not_downloaded_again(folder: Path, hub_cache: Path, downloads: list[str]) -> None:
    snapshot = fill(hub_cache, folder)
    damaged(snapshot, "truncated")
    with pytest.raises(WeightsError, match=str(snapshot)):
        clip(CPU)
    assert downloads == []


@pytest.mark.slow
def test_transformers_is_imported_late_and_asked_for(tmp_path: Path) -> None:
    (tmp_path / "transformers.py").write_text("raise ImportError('not installed')")
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from enpointe.encoders import clip, images; import torch\n"
        "assert 'transformers' not in sys.modules\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "try: clip.clip(torch.device('cpu'))\n"
        "except clip.InputError as error: print(error)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'enpointe[clip]'" in found.stdout
