"""The pipeline of the released models, with tiny networks and a CLIP that hashes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import enpointe
from enpointe.checkpoints.registry import MODELS, generators
from enpointe.checkpoints.released import RELEASED
from enpointe.core.errors import InputError, WeightsError
from enpointe.core.progress import Progress
from enpointe.diffusion.noise import SeededNoise
from enpointe.diffusion.samplers.heun import Heun
from enpointe.diffusion.schedule import DiscreteProcess
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.meshing.field import sdf_field
from enpointe.meshing.marching_cubes import mesh_from_field
from enpointe.meshing.sparse_grid import Field
from enpointe.nn.point_transformer import PointTransformer
from enpointe.nn.sdf import SDFTransformer
from enpointe.pipelines.families.point_e import presets
from enpointe.pipelines.families.point_e.drawing import _seed_of_run, released_stage
from enpointe.pipelines.families.point_e.members import ReleasedMembers
from enpointe.pipelines.families.point_e.pipeline import PointEPipeline
from enpointe.pipelines.families.point_e.presets import PRESETS, ReleasedPreset, Sampling
from enpointe.pipelines.families.point_e.stages import CloudStage, eps_stage
from enpointe.pipelines.load import load

CPU = torch.device("cpu")
WIDTH, CHANNELS = 8, 12
"""Of the fake CLIP's vectors and grids."""


class FakeClip:
    """Numbers that depend on the text's characters or the picture's pixels."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def texts(self, prompts: Sequence[str]) -> Tensor:
        self.asked.append(("texts", len(prompts)))
        return torch.stack([_numbers(sum(map(ord, prompt)), WIDTH) for prompt in prompts])

    max_tokens = 77

    def n_tokens(self, prompt: str) -> int:
        return 2 + len(prompt.split())

    def images(self, images: Sequence[Image.Image]) -> Tensor:
        self.asked.append(("images", len(images)))
        return torch.stack([_numbers(int(np.asarray(image).sum()), WIDTH) for image in images])

    def grids(self, images: Sequence[Image.Image]) -> Tensor:
        self.asked.append(("grids", len(images)))
        return torch.stack([_numbers(int(np.asarray(image).sum()), CHANNELS, 256) for image in images])


def _numbers(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Predictor(PointTransformer):
    """Exact for data of N(0, 1/4), but for a little that the network adds."""

    process: DiscreteProcess

    def forward(self, x: Tensor, t: Tensor, **cond: Any) -> Tensor:
        output = super().forward(x, t, **cond)
        alpha_bar = self.process.alphas_cumprod[t.long()].float()[:, None, None]
        exact = x * (1 - alpha_bar).sqrt() / (0.25 * alpha_bar + 1 - alpha_bar)
        return torch.cat([exact + 0.2 * alpha_bar.sqrt() * output[:, :6], output[:, 6:]], dim=1)


def tiny_network(name: str) -> nn.Module:
    """A released network's structure, of a few channels."""
    torch.manual_seed(3)
    if name == "sdf":
        return SDFTransformer(width=16, encoder_layers=1, encoder_heads=2, decoder_layers=1, decoder_heads=2).eval()
    config = RELEASED[name].config
    config = replace(
        config, width=16, layers=2, heads=2,
        vector=WIDTH if config.vector else 0, grids=tuple((grid, CHANNELS) for grid, _ in config.grids),
    )  # fmt: skip
    network = Predictor(**vars(config))
    network.process = RELEASED[name].process
    network.requires_grad_(False)
    for parameter in network.parameters():  # fresh, it hardly heeds its conditions, and its output is zero
        parameter.add_(0.2 * torch.randn_like(parameter))
    return network.eval()


class Loads:
    """Loads tiny networks and writes down which."""

    def __init__(self) -> None:
        self.read: list[tuple[str, Path | None, torch.dtype]] = []

    def __call__(
        self, name: str, *, path: Path | None, dtype: torch.dtype, device: torch.device, report: Any
    ) -> tuple[nn.Module, str]:
        self.read.append((name, path, dtype))
        network = tiny_network(name).to(device)
        for parameter in network.parameters():  # as `load_released`: buffers keep float32
            parameter.data = parameter.data.to(dtype)
        return network, f"hash of {path or name}"


@pytest.fixture(autouse=True)
def few_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages of 64 and 192 points, in few steps."""
    from enpointe.pipelines.families.point_e import drawing
    from enpointe.pipelines.families.point_e import pipeline as released

    for name in RELEASED:
        smaller = replace(RELEASED[name], n_points=192 if name == "upsample" else 64)
        monkeypatch.setitem(RELEASED, name, smaller)
    monkeypatch.setattr(drawing, "COARSE_POINTS", 64)
    monkeypatch.setattr(released, "COARSE_POINTS", 64)
    for name, both in PRESETS.items():
        monkeypatch.setitem(PRESETS, name, {kind: fewer_steps(preset) for kind, preset in both.items()})


def fewer_steps(preset: ReleasedPreset) -> ReleasedPreset:
    return replace(preset, base=replace(preset.base, steps=8), upsampler=replace(preset.upsampler, steps=6))


def tiny(name: str, preset: str = "fast", **options: Any) -> PointEPipeline:
    dtype = torch.bfloat16 if PRESETS[name][preset].dtype == "auto" else torch.float32
    clip = FakeClip()
    members = partial(ReleasedMembers, load=Loads(), load_clip=lambda _: clip)  # type: ignore[arg-type, return-value]
    return PointEPipeline(MODELS[name], CPU, preset, members=members, dtype=dtype, **options)


def picture(seed: int, side: int = 24) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8))


def inputs_for(name: str, n: int) -> dict[str, Any]:
    """n different inputs of the kind that the model draws from."""
    words, shown = [f"thing {i}" for i in range(n)], [picture(i) for i in range(n)]
    kinds: dict[str, dict[str, Any]] = {
        "text": {"prompt": words},
        "image": {"image": shown},
        "nothing": {},
    }
    return kinds[takes(name)]


def takes(name: str) -> str:
    return next(iter(MODELS[name].inputs), "nothing")


def same(a: PointCloud, b: PointCloud, tolerance: float = 0.0) -> bool:
    gap = max(np.abs(a.points - b.points).max(), np.abs(a.colors - b.colors).max())
    return bool(gap <= tolerance)


NAMES = tuple(PRESETS)


def test_every_released_base_model_is_there() -> None:
    assert set(NAMES) == set(RELEASED) - {"upsample"} == set(generators()) - {"pocket"}


@pytest.mark.parametrize("preset", ["fast", "reference"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_every_model_draws_what_it_is_told(name: str, preset: str) -> None:
    pipeline = tiny(name, preset)
    results = pipeline.generate(**inputs_for(name, 2), seed=[1, 1], n_points=256)
    for result in results:
        assert len(result.cloud) == 256
        # Not noise, and not all at the clip's bounds.
        assert 0.1 < result.cloud.points[:64].std() < 0.45, result.cloud.points[:64].std()
        assert 0.1 < result.cloud.points[64:].std() < 0.45, result.cloud.points[64:].std()
    assert same(results[0].cloud, results[1].cloud) == (takes(name) == "nothing")
    assert set(pipeline.hashes) == {"base", "upsample"}
    dtype = torch.bfloat16 if preset == "fast" else torch.float32
    load = pipeline._members._load
    assert isinstance(load, Loads)
    assert load.read == [(name, None, dtype), ("upsample", None, dtype)]


@pytest.mark.parametrize("name", ["base40M-textvec", "base40M", "base40M-uncond"])
def test_the_reference_is_the_release_s_two_stages(name: str) -> None:
    """Composed here by hand: base at its guidance, then the upsampler, with a zero grid where no image is."""
    pipeline = tiny(name, "reference")
    given = inputs_for(name, 1)
    (result,) = pipeline.generate(**given, seed=[5], n_points=256)
    clip, told = FakeClip(), PRESETS[name]["reference"]
    cond: dict[str, Any] = {}
    grid = torch.zeros(1, CHANNELS, 256)
    if name == "base40M-textvec":
        cond = {"vector": clip.texts(given["prompt"])}
    if name == "base40M":
        grid = clip.grids(given["image"])
        cond = {"grids": {"image": grid}}
    networks = [tiny_network(name), tiny_network("upsample")]
    base, up = (
        CloudStage(
            eps_stage(network, RELEASED[which].process, shape=(6, n), steps=sampling.steps, sigma_max=sigma_max,
                      sampler=Heun(s_churn=churn), guidance_scale=scale),
            RELEASED[which].scaling,
        )
        for network, which, n, sampling, sigma_max, churn, scale in zip(
            networks, (name, "upsample"), (64, 192), (told.base, told.upsampler), (120.0, 160.0), (3.0, 0.0),
            (3.0, 3.0 if name == "base40M" else 0.0), strict=True
        )
    )  # fmt: skip
    *_, coarse = base.run(cond, SeededNoise([5]), n_samples=1)
    noise = SeededNoise([_seed_of_run(5, 0)])
    *_, dense = up.run({"grids": {"image": grid}}, noise, n_samples=1, low_res=coarse.denoised)
    expected = dense.denoised[0].T.numpy()
    assert np.abs(result.cloud.points - expected[:, :3]).max() < 1e-4
    assert np.abs(result.cloud.colors - np.clip(expected[:, 3:] / 255, 0, 1)).max() < 1e-4


@pytest.mark.parametrize("name", ["base40M-textvec", "base40M"])
@pytest.mark.slow
def test_a_sample_of_a_batch_is_the_sample_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = PRESETS[name]["fast"]
    monkeypatch.setitem(PRESETS[name], "fast", replace(fast, dtype="float32"))  # it rounds by the size of the batch
    given, seeds = inputs_for(name, 3), [7, 8, 9]
    together = tiny(name, batch=3).generate(**given, seed=seeds, n_points=300)
    one_by_one = tiny(name, batch=1).generate(**given, seed=seeds, n_points=300)
    for i, (a, b) in enumerate(zip(together, one_by_one, strict=True)):
        single: dict[str, Any] = {key: None if value is None else [value[i]] for key, value in given.items()}
        (alone,) = tiny(name).generate(**single, seed=[seeds[i]], n_points=300)
        assert same(a.cloud, alone.cloud, 1e-4)
        assert same(b.cloud, alone.cloud)


def test_fewer_points_are_the_first_ones_and_more_come_in_several_runs() -> None:
    clouds = {n: tiny("base40M-textvec").generate("a dog", seed=2, n_points=n).cloud for n in (64, 100, 256, 700)}
    for n in (64, 100, 256):
        assert same(clouds[n], clouds[700].select(np.arange(n)))
    runs = [clouds[700].points[start : start + 192] for start in (64, 256, 448)]
    assert min(np.abs(a - b[: len(a)]).max() for a, b in ((runs[0], runs[1]), (runs[1], runs[2]))) > 0.01


def test_each_input_is_encoded_once() -> None:
    pipeline = tiny("base40M-textvec")
    pipeline.generate(["a dog", "a cat", "a dog"], seed=[1, 2, 3], n_points=64)
    assert pipeline._members.clip.asked == [("texts", 2)]  # type: ignore[attr-defined]
    pipeline, shown = tiny("base40M-imagevec"), picture(0)
    pipeline.generate(image=[shown, shown], seed=[1, 2], n_points=128)
    assert pipeline._members.clip.asked == [("images", 1), ("grids", 1)]  # type: ignore[attr-defined]
    pipeline = tiny("base40M-uncond")
    pipeline.generate(n_points=128)
    assert "clip" not in vars(pipeline._members)


def test_picture_files(tmp_path: Path) -> None:
    picture(4).save(tmp_path / "chair.png")
    from_file = tiny("base300M").generate(image=tmp_path / "chair.png", n_points=64)
    assert from_file.meta["image"] == from_file.image == "chair.png"
    assert same(from_file.cloud, tiny("base300M").generate(image=picture(4), n_points=64).cloud)
    (tmp_path / "note.png").write_text("no image")
    pipeline = tiny("base300M")
    with pytest.raises(InputError, match=r"note\.png"):
        pipeline.generate(image=[tmp_path / "chair.png", str(tmp_path / "note.png")])
    assert "clip" not in vars(pipeline._members)
    assert pipeline.hashes == {}


def test_bad_weights_are_told_before_clip_is_read() -> None:
    def damaged(name: str, **_given: Any) -> Any:
        raise WeightsError("damaged")

    members = partial(ReleasedMembers, load=damaged, load_clip=lambda _: pytest.fail("read"))
    with pytest.raises(WeightsError, match="damaged"):
        PointEPipeline(MODELS["base40M-textvec"], CPU, members=members).generate("a dog")


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("base40M-uncond", {"seed": []}, "not empty, found 0 of seed"),
        ("base40M-textvec", {"prompt": []}, "not empty, found 0 of prompt"),
        (
            "base40M-textvec",
            {"prompt": ["a dog"], "seed": [0, 1]},
            "not empty, found 1 of prompt, 2 of seed",
        ),
    ],
)
def test_several_are_asked_for(name: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        tiny(name).generate(**given)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("base40M-textvec", {"image": picture(0)}, "draws from a text: expected no image.*base300M"),
        ("base300M", {"prompt": "a dog"}, "draws from an image: expected no text.*pocket, base40M-textvec"),
        ("base40M-uncond", {"prompt": "a dog"}, "nothing but the seed: expected no text"),
        ("base40M", {}, "draws from an image: expected one"),
        ("base40M", {"prompt": "a dog", "image": picture(0)}, "expected no text"),
        ("base40M-textvec", {}, "draws from a text: expected one"),
        ("base40M-textvec", {"prompt": " "}, "blank"),
        ("base40M-textvec", {"prompt": "x", "steps": 0}, "steps"),
        ("base40M-textvec", {"prompt": "x", "guidance_scale": math.nan}, "guidance_scale"),
        ("base40M-textvec", {"prompt": "x", "sampler": "euler"}, "ddpm.*'euler'"),
        ("base40M-textvec", {"prompt": "x", "n_points": 63}, "n_points"),
        ("base40M-textvec", {"prompt": "x", "seed": -1}, "seed"),
    ],
)
def test_wrong_inputs_fail_before_anything_is_read(name: str, given: dict[str, Any], said: str) -> None:
    pipeline = tiny(name)
    with pytest.raises(InputError, match=said):
        pipeline.generate(**given)
    assert pipeline.hashes == {}
    assert "clip" not in vars(pipeline._members)


def test_the_pocket_family_says_who_draws_from_pictures() -> None:
    with pytest.raises(InputError, match="pocket draws from a text: expected no image"):
        load("pocket", device="cpu").generate("a dog", image=picture(0))


def test_ddpm_ends_without_noise() -> None:
    """A cloud is what the sampler arrives at after its last step, the estimate itself."""
    (cloud,) = tiny("base40M-textvec", "reference").generate(["a dog"], seed=[5], n_points=64, sampler="ddpm", steps=8)
    stage = released_stage(
        tiny_network("base40M-textvec"),
        "base40M-textvec",
        Sampling(8, 120.0, 3.0, "ddpm"),
        PRESETS["base40M-textvec"]["reference"],
        dtype=torch.float32,
    )
    *_, last = stage.run({"vector": FakeClip().texts(["a dog"])}, SeededNoise([5]), n_samples=1)
    torch.testing.assert_close(torch.from_numpy(cloud.cloud.points.T), last.denoised[0, :3], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("settings", [{"sampler": "ddpm", "steps": 5}, {"sampler": "dpmpp"}, {"guidance_scale": 1.0}])
def test_settings_of_the_base_stage(settings: dict[str, Any]) -> None:
    plain = tiny("base40M-textvec", "reference").generate("a dog", n_points=64)
    other = tiny("base40M-textvec", "reference").generate("a dog", n_points=64, **settings)
    assert not same(plain.cloud, other.cloud, 1e-3)
    assert other.meta["settings"].items() >= settings.items()


def test_meta() -> None:
    result = tiny("base40M-textvec", "reference", weights=Path("mine.pt")).generate("a dog", n_points=100)
    meta = result.meta
    assert (meta["enpointe"], meta["model"], meta["preset"]) == (enpointe.__version__, "base40M-textvec", "reference")
    assert meta["hashes"] == {"base": "hash of mine.pt", "upsample": "hash of upsample"}
    assert meta["settings"]["upsample_guidance_scale"] == 0.0
    assert "upsample_steps" not in tiny("base40M-uncond").generate(n_points=64).meta["settings"]
    assert "image" not in meta
    assert json.loads(json.dumps(meta, allow_nan=False)) == meta


def test_upsampling_a_users_own_cloud_keeps_its_points(capsule: Callable[..., PointCloud]) -> None:
    pipeline, own = tiny("base40M-textvec"), capsule(100)
    there = PointCloud(own.points * 37 + 5, own.colors)
    dense = pipeline.upsample(there, n_points=400, seed=1)
    assert len(dense) == 400
    assert dense.points[:100].tobytes() == there.points.tobytes()
    assert same(dense, pipeline.upsample(there, n_points=400, seed=1))
    assert not same(dense, pipeline.upsample(there, n_points=400, seed=2), 0.1)
    assert np.abs((dense.points - 5) / 37).max() <= 0.51
    seen = pipeline.upsample(there, n_points=400, seed=1, image=picture(1))
    assert not same(dense, seen, 1e-3)
    assert pipeline.upsample(there, n_points=100).points.tobytes() == there.points.tobytes()


def test_a_mesh_by_the_released_network(capsule: Callable[..., PointCloud], monkeypatch: pytest.MonkeyPatch) -> None:
    from enpointe.meshing import surface

    told: list[dict[str, Any]] = []

    def field_of(*given: Any, **options: Any) -> Field:
        told.append(options)
        return sdf_field(*given, **options)

    def mesh_of_a_ball(_: Field, cloud: PointCloud, **options: Any) -> Mesh:
        told.append(options)
        return mesh_from_field(lambda q: 0.3 - np.linalg.norm(q, axis=1).astype(np.float32), cloud, **options)

    monkeypatch.setattr(surface, "sdf_field", field_of)
    monkeypatch.setattr(surface, "mesh_from_field", mesh_of_a_ball)
    for preset, dtype, method, k in (
        ("fast", torch.bfloat16, "interpolated", 4), ("reference", torch.float32, "dense", 1),
    ):  # fmt: skip
        told.clear()
        pipeline = tiny("base40M-uncond", preset)
        assert pipeline.mesh(capsule(100), grid_size=16).is_watertight
        assert set(pipeline.hashes) == {"sdf"}
        network, mesh = told
        assert network["dtype"] == dtype
        assert (mesh["method"], mesh["k"], mesh["keep_small"]) == (method, k, preset == "reference")


@pytest.mark.parametrize("sampler", ["heun", "ddpm"])
def test_progress(sampler: str) -> None:
    told: list[Progress] = []
    tiny("base40M-textvec", batch=2).generate(
        ["a dog"] * 3, seed=[0, 1, 2], n_points=300, sampler=sampler, progress=told.append
    )
    assert [p.stage for p in told] == sorted(p.stage for p in told)  # "cloud" before "upsample"
    for stage in ("cloud", "upsample"):
        mine = [p for p in told if p.stage == stage]
        done = [p.done for p in mine]
        assert done == sorted(set(done))
        assert mine[-1].done == mine[-1].total
        assert len({p.total for p in mine}) == 1


def test_loading_by_name() -> None:
    for name in NAMES:
        pipeline = load(name, device="cpu", preset="reference")
        assert isinstance(pipeline, PointEPipeline)
        assert (pipeline.name, pipeline.preset, pipeline.hashes, pipeline.batch) == (name, "reference", {}, 1)
    with pytest.raises(InputError, match="preset of base40M: expected one of fast, reference"):
        load("base40M", preset="best")
    with pytest.raises(InputError, match="preset of pocket: expected one of fast, found"):
        load("pocket", preset="reference")


def test_reference_numbers_are_the_release_s() -> None:
    for name in NAMES:
        of_images = takes(name) == "image"
        preset = presets._REFERENCE_IMAGE if of_images else presets._REFERENCE
        base, up = preset.base, preset.upsampler
        assert (base.sampler, base.steps, base.sigma_min, base.sigma_max) == ("heun", 64, 1e-3, 120)
        assert (base.options, base.guidance_scale) == ({"s_churn": 3}, 3)
        assert (up.sampler, up.steps, up.sigma_min, up.sigma_max, up.options) == ("heun", 64, 1e-3, 160, {})
        assert up.guidance_scale == (3 if of_images else 0)


def test_moving_reads_the_networks_again_where_it_moves_to() -> None:
    pipeline = tiny("base40M-textvec")
    assert pipeline._members.base.output_proj.weight.device == CPU
    pipeline.to(torch.device("meta"))
    assert pipeline._members.base.output_proj.weight.device.type == "meta"
