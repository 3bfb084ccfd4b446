"""Which encoder is taken, and that CLIP's vectors are CLIP's own."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from enpointe.core.errors import InputError, WeightsError
from enpointe.encoders.clip import BASE, LARGE, Release, clip
from enpointe.evaluation.encoders import ENCODERS, load_encoder

TEXTS = ["a red car", "", "a blue boat"]
END = "<|endoftext|>"


def save_clip(folder: Path, patch: int, seed: int) -> None:
    """A tiny CLIP with random weights, whose tokenizer knows single letters."""
    from transformers import CLIPConfig, CLIPModel

    letters = [*string.ascii_lowercase, *(letter + "</w>" for letter in string.ascii_lowercase), "<|startoftext|>", END]
    (folder / "vocab.json").write_text(json.dumps({letter: i for i, letter in enumerate(letters)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    marks = {"bos_token": "<|startoftext|>", "eos_token": END, "unk_token": END, "pad_token": END}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer", **marks}))
    small = {"intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = {"hidden_size": 16, "vocab_size": 54, "bos_token_id": 52, "eos_token_id": 53, "pad_token_id": 53}
    vision = {"hidden_size": 32, "image_size": patch * 2, "patch_size": patch}
    torch.manual_seed(seed)
    model = CLIPModel(CLIPConfig(text_config=text | small, vision_config=vision | small, projection_dim=24))
    with torch.no_grad():  # biases, too, and weights large enough for everything to matter
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Release, Path]:
    pytest.importorskip("transformers")
    found = {}
    for release, patch in ((BASE, 32), (LARGE, 14)):
        found[release] = tmp_path_factory.mktemp("clip")
        save_clip(found[release], patch, patch)
    return found


@pytest.fixture(autouse=True)
def _nothing_at_hand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No CLIP in any folder or cache, and no network."""
    pytest.importorskip("transformers")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for release in (BASE, LARGE):
        monkeypatch.delenv(release.folder, raising=False)
    monkeypatch.setenv("ENPOINTE_OFFLINE", "1")
    clip.cache_clear()
    yield
    clip.cache_clear()


def images(n: int, size: int = 64) -> list[np.ndarray]:
    return list(np.random.default_rng(n).integers(0, 256, (n, size, size, 3), dtype=np.uint8))


@pytest.mark.parametrize(("name", "release"), [("vit-b-32", BASE), ("vit-l-14", LARGE)])
def test_clip_encodes_as_transformers_does(
    folders: dict[Release, Path], monkeypatch: pytest.MonkeyPatch, name: str, release: Release
) -> None:
    from transformers import CLIPModel, CLIPTokenizerFast

    monkeypatch.setenv(release.folder, str(folders[release]))
    encoder = load_encoder(name)
    assert encoder.name == name
    assert release.name in encoder.note
    network = CLIPModel.from_pretrained(folders[release]).eval()
    tokens = CLIPTokenizerFast.from_pretrained(folders[release])(TEXTS, padding=True, return_tensors="pt")
    shown = images(40)  # more than one batch
    patches = network.config.vision_config.image_size
    means, stds = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    resized = np.stack(
        [np.array(Image.fromarray(one).resize((patches, patches), Image.Resampling.BICUBIC)) for one in shown]
    )
    with torch.no_grad():
        pixels = torch.tensor((resized / 255 - means) / stds, dtype=torch.float32).permute(0, 3, 1, 2)
        logits = network(input_ids=tokens["input_ids"], pixel_values=pixels).logits_per_image
        expected = (logits / network.logit_scale.exp()).numpy()
    texts, seen = encoder.encode_texts(TEXTS), encoder.encode_images(shown)
    assert texts.dtype == seen.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(np.concatenate([texts, seen]), axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(seen @ texts.T, expected, atol=2e-4)
    assert np.ptp(expected, axis=0).min() > 1e-3  # the images differ
    with pytest.raises(InputError, match="at least one"):
        encoder.encode_images([])


def test_auto_takes_the_first_clip_that_is_there(folders: dict[Release, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LARGE.folder, str(folders[LARGE]))
    assert load_encoder("auto").name == "vit-l-14"
    monkeypatch.setenv(BASE.folder, str(folders[BASE]))
    assert load_encoder("auto").name == "vit-b-32"


def test_auto_is_the_embedded_model_where_there_is_no_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    space = SimpleNamespace(
        quality={"recall": 0.5},
        encode_texts=lambda texts: np.eye(len(texts), 8, dtype=np.float32),
        encode_images=lambda shown: np.eye(len(shown), 8, 4, dtype=np.float32),
    )
    devices: list[torch.device] = []

    def load_joint(device: torch.device) -> SimpleNamespace:
        devices.append(device)
        return space

    monkeypatch.setattr("enpointe.checkpoints.embedded.load_joint", load_joint)
    for choice in ("auto", "joint"):
        encoder = load_encoder(choice, "cpu")
        assert (encoder.name, encoder.quality) == ("joint", {"recall": 0.5})
        assert "never with published" in encoder.note
        np.testing.assert_array_equal(encoder.encode_texts(["a", "b"]), np.eye(2, 8))
        np.testing.assert_array_equal(encoder.encode_images(images(1)), np.eye(1, 8, 4))
    assert devices == [torch.device("cpu")] * 2


def test_a_clip_in_the_cache_is_taken(folders: dict[Release, Path], tmp_path: Path) -> None:
    repository = tmp_path / f"models--{BASE.name.replace('/', '--')}"
    snapshot = repository / "snapshots" / ("01234567" * 5)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(snapshot.name)
    for file in folders[BASE].iterdir():
        (snapshot / file.name).write_bytes(file.read_bytes())
    assert load_encoder("auto").name == "vit-b-32"


def test_another_network_is_refused(folders: dict[Release, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BASE.folder, str(folders[LARGE]))
    with pytest.raises(WeightsError, match="patches of 32 pixels, found a CLIP with patches of 14"):
        load_encoder("vit-b-32")


def test_a_wrong_folder_is_named_even_by_auto(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(BASE.folder, str(tmp_path / "nowhere"))
    with pytest.raises(WeightsError, match=BASE.folder):
        load_encoder("auto")


def test_the_names_are_those_of_the_command() -> None:
    assert set(ENCODERS) == {"joint", "vit-b-32", "vit-l-14"}


def test_what_is_not_there_and_unknown_names(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match=BASE.folder):
        load_encoder("vit-b-32")
    with pytest.raises(InputError, match="encoder: expected one of auto, vit-b-32, vit-l-14, joint, found 'vit'"):
        load_encoder("vit")
