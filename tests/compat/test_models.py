"""The release's networks: its constructors, state dicts and calls give its outputs; none loads CLIP unasked."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

import enpointe.encoders.clip as clip_module
from enpointe.core.errors import InputError, WeightsError
from enpointe.nn.pointnet2 import PointNet2
from point_e.models.configs import CLASSES, MODEL_CONFIGS, model_from_config
from point_e.models.download import MODEL_PATHS, default_cache_dir, fetch_file_cached, load_checkpoint
from point_e.models.fast import CONDITIONS, enpointe_network
from point_e.models.pretrained_clip import FrozenImageCLIP, ImageCLIP
from point_e.models.transformer import PointDiffusionTransformer
from rounding import assert_same_sums

Golden = Callable[[str], tuple[dict[str, Tensor], dict[str, Any]]]
CPU = torch.device("cpu")
SMALL = {"width": 16, "layers": 1, "heads": 2, "n_ctx": 8}


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def recorded_model(golden: Golden, name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, dict[str, Tensor]]:
    """The release's class with a recorded state dict in it, and the file's tensors."""
    tensors, about = golden(f"model_{name}")
    for key in ("feature_dim", "grid_size", "grid_feature_dim"):
        if key in about:
            monkeypatch.setattr(ImageCLIP, key, about[key])
    kind = about.get("cls", "CrossAttentionPointCloudSDFModel")
    model = model_from_config({"name": kind, **about["config"]}, CPU).eval()
    weights = {key.removeprefix("w."): value for key, value in tensors.items() if key.startswith("w.")}
    loaded = model.load_state_dict(weights)
    assert not loaded.missing_keys
    assert not loaded.unexpected_keys
    assert {key: tuple(value.shape) for key, value in model.state_dict().items()} == {
        key: tuple(value.shape) for key, value in weights.items()
    }
    return model, tensors


@pytest.mark.golden
@pytest.mark.parametrize(
    "name", ["uncond", "uncond_time_added", "vec", "vec_added", "grid", "upsample", "upsample_plain"]
)
@torch.no_grad()
def test_recorded_outputs(golden: Golden, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    model, tensors = recorded_model(golden, name, monkeypatch)
    cond = {key.removeprefix("cond."): value for key, value in tensors.items() if key.startswith("cond.")}
    assert relative_error(model(tensors["x"], tensors["t"], **cond), tensors["y"]) < 2e-5
    if "y_without_image" in tensors:
        without = model(tensors["x"], tensors["t"], low_res=cond["low_res"])
        assert relative_error(without, tensors["y_without_image"]) < 2e-5
    network = enpointe_network(model)  # what a sampler calls is the same
    assert network is not None
    renamed = CONDITIONS[type(model)](**cond)
    assert relative_error(network(tensors["x"], tensors["t"], **renamed), tensors["y"]) < 2e-5


@pytest.mark.golden
@torch.no_grad()
def test_recorded_distances(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tensors = recorded_model(golden, "sdf", monkeypatch)
    clouds, queries = tensors["point_clouds"], tensors["queries"]
    encoded = model.encode_point_clouds(clouds)
    for found in (
        model(queries, point_clouds=clouds),
        model(queries, encoded=encoded),
        model.predict_sdf(queries, encoded),
    ):
        assert relative_error(found, tensors["sdf"]) < 2e-5
    for given in ({}, {"point_clouds": clouds, "encoded": encoded}):
        with pytest.raises(InputError, match="expected point_clouds or encoded"):
            model(queries, **given)


@pytest.mark.golden
@pytest.mark.parametrize("name", sorted(MODEL_CONFIGS))
@pytest.mark.slow
def test_released_checkpoints_fit(golden_folder: Path, name: str) -> None:
    manifest = json.loads((golden_folder / "manifests.json").read_text())[name]
    with torch.device("meta"):
        state = model_from_config(MODEL_CONFIGS[name], torch.device("meta")).state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == manifest
    assert list(state) == list(manifest)
    assert all(value.is_meta for value in state.values())


def test_configs_have_the_release_s_keys() -> None:
    grid = {
        "heads",
        "init_scale",
        "input_channels",
        "layers",
        "n_ctx",
        "name",
        "output_channels",
        "time_token_cond",
        "width",
    }
    assert MODEL_CONFIGS["base40M-uncond"].keys() == grid
    assert MODEL_CONFIGS["base300M"].keys() == grid | {"cond_drop_prob"}
    assert MODEL_CONFIGS["base40M-textvec"].keys() == grid | {"cond_drop_prob", "token_cond"}
    assert MODEL_CONFIGS["upsample"].keys() == grid | {"cond_drop_prob", "cond_ctx", "channel_scales", "channel_biases"}
    assert MODEL_CONFIGS["upsample"]["n_ctx"] == 3072
    assert {config["name"] for config in MODEL_CONFIGS.values()} <= CLASSES.keys()
    with pytest.raises(InputError, match="expected one of PointDiffusionTransformer"):
        model_from_config({"name": "Transformer"}, CPU)


def test_a_state_dict_that_does_not_fit_is_an_error_that_names_keys() -> None:
    model = model_from_config({**MODEL_CONFIGS["base40M"], **SMALL}, CPU)
    state = model.state_dict()
    assert "clip_embed.1.weight" in state
    state["clip_embed.2.weight"] = state.pop("clip_embed.1.weight")
    with pytest.raises(RuntimeError, match=r"Missing key.*clip_embed.1.weight"):
        model.load_state_dict(state)


def test_keys_inside_another_module_and_in_a_copy() -> None:
    model = model_from_config({**MODEL_CONFIGS["upsample"], **SMALL}, CPU)
    torch.nn.init.normal_(model.output_proj.weight)
    outer = torch.nn.ModuleDict({"base": copy.deepcopy(model)})
    assert {key.removeprefix("base.") for key in outer.state_dict()} == model.state_dict().keys()
    other = torch.nn.ModuleDict({"base": model_from_config({**MODEL_CONFIGS["upsample"], **SMALL}, CPU)})
    other.load_state_dict(outer.state_dict())
    assert torch.equal(other.state_dict()["base.output_proj.weight"], model.output_proj.weight)


def test_without_channel_scales_coarse_points_stay_as_they_are() -> None:
    config = {"name": "UpsamplePointDiffusionTransformer", "input_channels": 6, "output_channels": 6, **SMALL}
    plain = model_from_config(config, CPU).eval()
    scaled = model_from_config({**config, "channel_scales": [1.0] * 6, "channel_biases": [0.0] * 6}, CPU).eval()
    assert scaled.state_dict().keys() - plain.state_dict().keys() == {"channel_scales", "channel_biases"}
    torch.nn.init.normal_(plain.output_proj.weight)
    scaled.load_state_dict(plain.state_dict(), strict=False)
    x, t, low_res = torch.randn(2, 6, 8), torch.tensor([3, 500]), torch.randn(2, 6, 5)
    assert_same_sums(plain(x, t, low_res=low_res), scaled(x, t, low_res=low_res), plain)


def test_another_number_of_points_is_an_error() -> None:
    model = model_from_config({**MODEL_CONFIGS["base40M-uncond"], **SMALL}, CPU)
    with pytest.raises(InputError, match="points: expected 8 for this network, found 9"):
        model(torch.zeros(1, 6, 9), torch.zeros(1))


def test_in_training_conditions_are_dropped() -> None:
    model = model_from_config({**MODEL_CONFIGS["base40M"], **SMALL, "cond_drop_prob": 1.0}, CPU)
    torch.nn.init.normal_(model.output_proj.weight)
    x, t, grid = torch.randn(2, 6, 8), torch.tensor([3, 500]), torch.randn(2, 1024, 4)
    with torch.no_grad():
        dropped = model.train()(x, t, embeddings=grid)
        assert_same_sums(dropped, model.eval()(x, t, embeddings=torch.zeros_like(grid)), model)
        assert not torch.allclose(dropped, model(x, t, embeddings=grid))


# CLIP


class FakeClip:
    """Vectors and grids that tell what they were made from."""

    def texts(self, prompts: list[str]) -> Tensor:
        return torch.stack([torch.full((768,), float(len(prompt))) for prompt in prompts])

    def images(self, images: list[Image.Image]) -> Tensor:
        return torch.stack([torch.full((768,), -float(image.width)) for image in images])

    def grids(self, images: list[Image.Image]) -> Tensor:
        return torch.stack([torch.full((1024, 256), float(np.asarray(image).mean())) for image in images])


def no_clip(device: torch.device) -> None:
    raise AssertionError(f"CLIP was loaded on {device}")


def test_no_network_loads_clip_before_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_module, "clip", no_clip)
    low_res, grid = torch.zeros(1, 6, 4), torch.zeros(1, 1024, 256)
    given = {
        "base40M-uncond": None,
        "base40M-textvec": {"embeddings": torch.zeros(1, 768)},
        "base40M": {"embeddings": grid},
        "upsample": {"low_res": low_res},
    }
    for name, kwargs in given.items():
        model = model_from_config({**MODEL_CONFIGS[name], **SMALL}, CPU)
        assert isinstance(model, PointDiffusionTransformer)
        cond = {} if kwargs is None else model.cached_model_kwargs(1, kwargs)  # type: ignore[operator]
        assert model(torch.zeros(1, 6, 8), torch.zeros(1), **cond).shape == (1, 12, 8)
    with pytest.raises(AssertionError, match="CLIP was loaded"):
        FrozenImageCLIP(CPU).embed_text(["a cup"])


def test_a_batch_of_texts_pictures_and_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_module, "clip", lambda device: FakeClip())
    clip = FrozenImageCLIP(CPU)
    picture = Image.new("RGB", (30, 20))
    found = clip(
        4,
        images=[None, picture, None, None],
        texts=["red", None, None, None],
        embeddings=[None, None, None, torch.ones(768)],
    )
    assert found[:, 0].tolist() == [3, -30, 0, 1]
    assert clip.embed_images([np.zeros((5, 9, 3)), torch.zeros(5, 8, 3), None])[:, 0].tolist() == [-9, -8, -64]
    with pytest.raises(InputError, match="texts: expected 2"):
        clip(2, texts=["red"])
    with pytest.raises(InputError, match="found several"):
        clip(1, texts=["red"], images=[picture])


def test_clip_is_a_module_and_a_frozen_one_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_module, "clip", lambda device: FakeClip())
    clip = ImageCLIP(CPU)
    assert isinstance(clip, torch.nn.Module)
    calls: list[int] = []
    clip.register_forward_hook(lambda module, args, output: calls.append(len(output)))
    assert clip(2, texts=["red", None])[:, 0].tolist() == [3, 0]
    assert calls == [2]
    assert clip.images_to_tensor([Image.new("RGB", (30, 20)), None]).shape == (2, 3, 224, 224)
    assert (clip.feature_dim, clip.grid_size, clip.grid_feature_dim) == (768, 16, 1024)
    model = model_from_config({**MODEL_CONFIGS["base40M"], **SMALL}, CPU)
    assert not any("clip" in name.split(".") for name, _ in model.named_modules())
    assert isinstance(model.clip.model, ImageCLIP)


def test_the_smaller_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[Any] = []

    def load(device: torch.device, release: Any) -> FakeClip:
        loaded.append(release)
        return FakeClip()

    monkeypatch.setattr(clip_module, "clip", load)
    clip = FrozenImageCLIP(CPU, clip_name="ViT-B/32")
    assert (clip.feature_dim, clip.grid_size, clip.grid_feature_dim) == (512, 7, 768)
    clip.embed_text(["a cup"])
    assert loaded == [clip_module.BASE]
    for wrong in ({"clip_name": "RN50"}, {"dtype": torch.float16}):
        with pytest.raises(InputError, match="expected"):
            ImageCLIP(CPU, **wrong)


def test_cached_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_module, "clip", lambda device: FakeClip())
    text = model_from_config({**MODEL_CONFIGS["base40M-textvec"], **SMALL}, CPU)
    assert text.cached_model_kwargs(2, {"texts": ["ab", "abcd"]})["embeddings"][:, 5].tolist() == [2, 4]
    picture = model_from_config({**MODEL_CONFIGS["base40M"], **SMALL}, CPU)
    white = np.full((9, 9, 3), 255)
    assert picture.cached_model_kwargs(1, {"images": [white]})["embeddings"].unique().tolist() == [255]
    upsample = model_from_config({**MODEL_CONFIGS["upsample"], **SMALL}, CPU)
    nothing = upsample.cached_model_kwargs(2, {"low_res": torch.ones(2, 6, 4), "texts": ["a", "b"]})
    assert nothing["embeddings"].shape == (2, 1024, 256)
    assert not nothing["embeddings"].any()
    with pytest.raises(InputError, match="expected images for this network, found texts"):
        picture.cached_model_kwargs(1, {"texts": ["a cup"]})
    with pytest.raises(InputError, match="frozen_clip"):
        model_from_config({**MODEL_CONFIGS["base40M"], **SMALL, "frozen_clip": False}, CPU)


# Checkpoints


@pytest.mark.slow
def test_a_checkpoint_in_the_release_s_cache_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENPOINTE_OFFLINE", "1")
    monkeypatch.setenv("ENPOINTE_CACHE", str(tmp_path / "own"))
    state = model_from_config(MODEL_CONFIGS["sdf"], CPU).state_dict()
    folder = Path(default_cache_dir())
    assert folder == tmp_path / "point_e_model_cache"
    folder.mkdir()
    torch.save(state, folder / "sdf.pt")
    assert fetch_file_cached(MODEL_PATHS["sdf"]) == str(folder / "sdf.pt")
    for loaded in (load_checkpoint("sdf", CPU), load_checkpoint("sdf", CPU, cache_dir=str(folder))):
        assert loaded.keys() == state.keys()
        assert all(torch.equal(loaded[key], state[key]) for key in state)
    pointnet = PointNet2().state_dict()
    torch.save({"model_state_dict": pointnet, "epoch": 3}, folder / "pointnet.pt")
    assert load_checkpoint("pointnet", CPU)["model_state_dict"].keys() == pointnet.keys()
    with pytest.raises(WeightsError, match="upsample"):
        load_checkpoint("upsample", CPU, progress=False)
    with pytest.raises(InputError, match="expected one of base40M"):
        load_checkpoint("base40m", CPU)
    with pytest.raises(InputError, match="address"):
        fetch_file_cached("https://example.org/other.pt")


def test_further_names_and_other_shapes_come_from_one_s_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENPOINTE_OFFLINE", "1")
    monkeypatch.setitem(MODEL_PATHS, "mine", "https://example.org/files/mine.pt")
    state = model_from_config({**MODEL_CONFIGS["base40M"], **SMALL}, CPU).state_dict()
    for name in ("mine.pt", "base_40m.pt"):
        torch.save(state, tmp_path / name)
    for name in ("mine", "base40M"):
        loaded = load_checkpoint(name, CPU, cache_dir=str(tmp_path))
        assert list(loaded) == list(state)
        assert all(torch.equal(loaded[key], state[key]) for key in state)
    save_file(state, tmp_path / "mine.pt")
    assert load_checkpoint("mine", CPU, cache_dir=str(tmp_path)).keys() == state.keys()


def test_what_training_leaves_beside_the_weights(tmp_path: Path) -> None:
    pointnet = {"model_state_dict": {"a": torch.ones(2)}, "instance_acc": np.float64(0.5), "epoch": np.int64(3)}
    torch.save(pointnet, tmp_path / "pointnet.pt")
    loaded = load_checkpoint("pointnet", CPU, cache_dir=str(tmp_path))
    assert (loaded["instance_acc"], loaded["epoch"]) == (0.5, 3)
    assert loaded["model_state_dict"]["a"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"PK nothing", "found something else; nothing was run"),
        (b"", "a damaged one"),
        (pickle.dumps(Path("here"), protocol=2), r"found code \(pathlib.PosixPath\); nothing was run"),
        (b"00000000{nothing", "a damaged one"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, content: bytes, found: str) -> None:
    (tmp_path / "sdf.pt").write_bytes(content)
    with pytest.raises(WeightsError, match=found):
        load_checkpoint("sdf", CPU, cache_dir=str(tmp_path))


def test_another_address_is_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENPOINTE_OFFLINE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    folder, cache = tmp_path / "server", tmp_path / "cache"
    folder.mkdir()
    torch.save({"a": torch.arange(3)}, folder / "mine.pt")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setitem(MODEL_PATHS, "mine", f"{address}/mine.pt")
        assert load_checkpoint("mine", CPU, progress=False, cache_dir=str(cache))["a"].tolist() == [0, 1, 2]
        with pytest.raises(WeightsError, match=r"other\.pt: expected to download it .* 404"):
            fetch_file_cached(f"{address}/other.pt", progress=False, cache_dir=str(cache))
        server.shutdown()
    assert [path.name for path in cache.iterdir()] == ["mine.pt"]
    assert load_checkpoint("mine", CPU, cache_dir=str(cache))["a"].tolist() == [0, 1, 2]
    with pytest.raises(InputError, match="address: expected http or https"):
        fetch_file_cached("file:///etc/passwd", progress=False, cache_dir=str(cache / "none"))
