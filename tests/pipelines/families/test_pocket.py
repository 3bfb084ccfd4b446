"""The pipeline from outside: frames, what a result says of itself, progress, bad input, damaged files."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import enpointe
from enpointe.checkpoints.embedded import embedded_path
from enpointe.checkpoints.registry import ASSETS, MODELS
from enpointe.checkpoints.weights import read_weights, save_weights
from enpointe.core import precision
from enpointe.core.checks import MAX_POINTS
from enpointe.core.errors import DeviceError, InputError, WeightsError
from enpointe.core.precision import dtype_name
from enpointe.core.progress import Progress
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.meshing import surface
from enpointe.nn.point_transformer import PointTransformerConfig
from enpointe.nn.sight import SightSDF
from enpointe.pipelines.base import Pipeline
from enpointe.pipelines.families.pocket.base_stage import Preset
from enpointe.pipelines.families.pocket.pipeline import PocketPipeline
from enpointe.pipelines.load import load

Make = Callable[..., Pipeline]
MakeCloud = Callable[..., PointCloud]
Floats = NDArray[np.float32]

SCALE, SHIFT = 37.0, np.array([100.0, -20.0, 3.0])


def moved(cloud: PointCloud) -> PointCloud:
    return PointCloud((cloud.points * SCALE + SHIFT).astype(np.float32), cloud.colors, cloud.channels)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_progress(told: list[Progress], stage: str) -> None:
    mine = [p for p in told if p.stage == stage]
    done = [p.done for p in mine]
    assert done == sorted(done)
    assert mine[-1].done == mine[-1].total > 0
    assert len({p.total for p in mine} - {0}) == 1


# --- clouds


@pytest.mark.parametrize("n_points", [64, 127, 1000, 1024, 1025, 4096])
def test_a_cloud_has_the_points_asked_for_in_the_unit_frame(tiny: Make, n_points: int) -> None:
    cloud = tiny().generate("a red car", n_points=n_points).cloud
    assert len(cloud) == n_points
    of_base = cloud.points[:1024]
    assert of_base.max(0) - of_base.min(0) == pytest.approx(of_base.max(0) * 2, abs=1e-5)
    assert (of_base.max(0) - of_base.min(0)).max() == pytest.approx(1, abs=1e-5)


def test_the_coarse_cloud_stays_in_the_dense_one(tiny: Make) -> None:
    coarse, dense = (tiny().generate("a dog", seed=2, n_points=n).cloud for n in (1024, 1500))
    assert dense.points[:1024].tobytes() == coarse.points.tobytes()
    assert dense.colors[:1024].tobytes() == coarse.colors.tobytes()


def test_upsampling_keeps_any_frame(tiny: Make, capsule: MakeCloud) -> None:
    pipeline, own = tiny(), capsule(128)
    there = moved(own)
    dense = pipeline.upsample(there, n_points=500, seed=1)
    assert len(dense) == 500
    assert dense.points[:128].tobytes() == there.points.tobytes()
    assert dense.colors[:128].tobytes() == there.colors.tobytes()
    in_unit = pipeline.upsample(own, n_points=500, seed=1)
    assert np.abs((dense.points - SHIFT) / SCALE - in_unit.points).max() < 1e-2
    same = pipeline.upsample(there, n_points=128)
    assert same.points.tobytes() == there.points.tobytes()


def test_upsampling_of_very_few_points(tiny: Make) -> None:
    two = PointCloud(np.array([[0, 0, 0], [0, 0, 5]], np.float32), np.ones((2, 3)))
    dense = tiny().upsample(two, n_points=20)
    assert len(dense) == 20
    assert dense.points[:2].tobytes() == two.points.tobytes()


def test_channels_are_left_out(tiny: Make, capsule: MakeCloud) -> None:
    cloud = capsule(128)
    named = PointCloud(cloud.points, cloud.colors, {"material": np.arange(128, dtype=np.float32)})
    assert tiny().upsample(named, n_points=200).channels == {}


def test_a_named_number_format_holds_in_every_stage(
    tiny: Make, tiny_sdf: SightSDF, capsule: MakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(fast: torch.dtype, dtype: torch.dtype | None) -> list[bytes]:
        monkeypatch.setattr(precision, "_faster_on_cpu", lambda threads: fast)
        pipeline, cloud = tiny(dtype=dtype), capsule(64)
        return [
            pipeline.generate("a dog", n_points=64, progress=False).cloud.points.tobytes(),
            pipeline.upsample(cloud, n_points=128, progress=False).points.tobytes(),
            pipeline.mesh(cloud, grid_size=16, progress=False).vertices.tobytes(),
        ]

    single, half = made(torch.float32, None), made(torch.bfloat16, None)
    assert all(a != b for a, b in zip(single, half, strict=True))
    assert made(torch.bfloat16, torch.float32) == single
    assert made(torch.float32, torch.bfloat16) == half


# --- meshes


def size_of(mesh: Mesh) -> Floats:
    return mesh.vertices.max(0) - mesh.vertices.min(0)


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.slow
def test_a_mesh_stands_where_its_cloud_stands(tiny: Make, tiny_sdf: SightSDF, capsule: MakeCloud, dense: bool) -> None:
    cloud = moved(capsule(64, seed=5))
    mesh = tiny().mesh(cloud, grid_size=24, dense=dense)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx((math.pi * 0.3**2 * 0.4 + 4 / 3 * math.pi * 0.3**3) * SCALE**3, rel=0.25)
    middle = (mesh.vertices.max(0) + mesh.vertices.min(0)) / 2
    assert np.abs(middle - SHIFT).max() < 0.08 * SCALE
    assert np.abs(size_of(mesh) / SCALE - [1, 0.6, 0.6]).max() < 0.15
    assert mesh.colors is not None
    # Colors follow place: the cloud's are its points' unit coordinates + 1/2.
    assert np.abs(mesh.colors - ((mesh.vertices - SHIFT) / SCALE + 0.5)).mean() < 0.12


def test_large_clouds_are_thinned_for_the_network_alone(
    tiny: Make, tiny_sdf: SightSDF, capsule: MakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surface, "SDF_POINTS", 64)
    seen: list[int] = []
    pipeline = tiny()
    encode = SightSDF.encode

    def counting(sdf: SightSDF, points: Tensor) -> list[Tensor]:
        seen.append(points.shape[2])
        return encode(sdf, points)

    monkeypatch.setattr(SightSDF, "encode", counting)
    one, again = (pipeline.mesh(capsule(2000), grid_size=16) for _ in range(2))
    assert seen == [64, 64]
    assert one.vertices.tobytes() == again.vertices.tobytes()


def test_bad_clouds_and_grids_for_a_mesh(tiny: Make, tiny_sdf: SightSDF, capsule: MakeCloud) -> None:
    with pytest.raises(InputError, match="one place"):
        tiny().mesh(PointCloud(np.ones((200, 3)), np.ones((200, 3))))
    for grid in (0, 7, 10**6):
        with pytest.raises(InputError, match="grid_size"):
            tiny().mesh(capsule(64), grid_size=grid)


# --- what a result says


def test_meta(tiny: Make, tiny_folder: Path, tiny_sdf: SightSDF, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = tiny()
    a, b = pipeline.generate(["a dog", "a red car"], seed=[1, 2], n_points=1030, guidance_scale=2.5)
    assert a.meta["enpointe"] == enpointe.__version__
    assert a.meta["model"] == "pocket"
    assert a.meta["settings"] == b.meta["settings"]
    assert a.meta["settings"] == {
        "n_points": 1030, "steps": 3, "guidance_scale": 2.5, "sampler": "dpmpp", "upsample_steps": 2, "device": "cpu",
        "dtype": dtype_name(pipeline.dtype),
    }  # fmt: skip
    files = {"text": ASSETS / "minilm.safetensors"}
    files |= {member: tiny_folder / f"pocket-{member}.safetensors" for member in ("base", "up", "sdf")}
    hashes = {member: digest(path) for member, path in files.items()}
    assert a.meta["hashes"] == {member: hashes[member] for member in ("text", "base", "up")}
    assert set(a.meta["seconds"]) == {"load", "cloud", "upsample"}
    assert all(isinstance(v, float) and 0 <= v < 600 for v in a.meta["seconds"].values())
    assert a.meta["seconds"]["cloud"] > 0
    assert json.loads(json.dumps(a.meta, allow_nan=False)) == a.meta
    assert (a.meta["prompt"], a.meta["seed"], b.meta["prompt"], b.meta["seed"]) == ("a dog", 1, "a red car", 2)

    def no_surface(*args: Any, **_: Any) -> Mesh:
        return Mesh(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]]))

    monkeypatch.setattr(surface, "mesh_from_field", no_surface)
    a.mesh(grid_size=8)
    assert a.meta["hashes"] == b.meta["hashes"] == hashes
    assert json.loads(json.dumps(a.meta)) == a.meta
    # What one user adds to a result is not said of the others.
    a.meta["note"] = "mine"
    assert "note" not in b.meta


def test_only_what_is_needed_is_read(tiny: Make) -> None:
    pipeline = tiny()
    assert pipeline.hashes == {}
    assert set(pipeline.generate("a dog", n_points=64).meta["hashes"]) == {"text", "base"}
    assert set(tiny().generate("a dog", n_points=64).meta["settings"]) >= {"n_points", "steps"}
    dense = tiny()
    dense.upsample(pipeline.generate("a dog", n_points=128).cloud, n_points=130)
    assert set(dense.hashes) == {"up"}


def test_warnings_for_a_prompt(tiny: Make) -> None:
    assert tiny().prompt_warnings("a red car") == []
    assert len(tiny().prompt_warnings("quantum mechanics")) == 1
    with pytest.raises(InputError, match="blank"):
        tiny().prompt_warnings(" ")


# --- progress


@pytest.mark.parametrize(("batch", "n"), [(1, 3), (2, 3), (8, 3), (1, 1)])
def test_progress_of_clouds(tiny: Make, batch: int, n: int) -> None:
    told: list[Progress] = []
    tiny(batch=batch).generate(["a dog"] * n, seed=range(n), n_points=1100, progress=told.append)
    stages = [p.stage for p in told]
    assert stages == sorted(stages)  # "cloud" before "upsample"
    assert {p.total for p in told if p.stage == "cloud"} == {3 * n}
    check_progress(told, "cloud")
    check_progress(told, "upsample")


def test_no_upsampling_is_reported_where_there_is_none(tiny: Make) -> None:
    told: list[Progress] = []
    tiny().generate("a dog", n_points=1024, progress=told.append)
    assert {p.stage for p in told} == {"cloud"}


def test_progress_of_single_steps(tiny: Make, tiny_sdf: SightSDF, capsule: MakeCloud) -> None:
    told: list[Progress] = []
    tiny().upsample(capsule(128), n_points=2100, progress=told.append)  # three passes
    check_progress(told, "upsample")
    assert len(told) > 3
    told.clear()
    tiny().mesh(capsule(64), grid_size=16, progress=told.append)
    check_progress(told, "mesh")
    assert told[-1].done <= 16**3


# --- bad input

ONE_LINE = r"^[^\n]*expected[^\n]*$"


@pytest.mark.parametrize(
    "settings",
    [{"n_points": 63}, {"n_points": MAX_POINTS + 1}, {"n_points": 1000.5}, {"n_points": "64"}, {"n_points": -1},
     {"steps": 0}, {"steps": 1001}, {"steps": 2.5}, {"guidance_scale": -0.1}, {"guidance_scale": 101},
     {"guidance_scale": math.nan}, {"guidance_scale": math.inf}, {"guidance_scale": "3"},
     {"sampler": "euler"}, {"sampler": ""},
     {"seed": -1}, {"seed": 2**63}, {"seed": 1.5}, {"seed": "7"}, {"prompt": ""}, {"prompt": " \t"},
     {"prompt": "x" * 10_000}, {"prompt": "a\0b"}],
    ids=lambda settings: " ".join(f"{k} {str(v)[:12]!r}" for k, v in settings.items()),
)  # fmt: skip
def test_bad_settings_fail_before_anything_is_read(tiny: Make, settings: dict[str, Any]) -> None:
    pipeline = tiny()
    with pytest.raises(InputError, match=ONE_LINE):
        pipeline.generate(**{"prompt": "a dog", "n_points": 64, **settings})
    assert pipeline.hashes == {}


@pytest.mark.parametrize(("prompts", "seeds"), [([], []), (["a dog"], []), (["a dog"], [1, 2]), (["a", "b"], [1])])
def test_mismatched_seeds(tiny: Make, prompts: list[str], seeds: list[int]) -> None:
    with pytest.raises(InputError, match=r"expected lists of one length, not empty"):
        tiny().generate(prompts, seed=seeds)


def test_one_bad_prompt_or_seed_among_many_stops_all(tiny: Make) -> None:
    told: list[Progress] = []
    for prompts, seeds in ((["a dog", " "], [1, 2]), (["a dog", "a cat"], [1, -2])):
        with pytest.raises(InputError):
            tiny().generate(prompts, seed=seeds, n_points=64, progress=told.append)
    assert told == []


def test_unknown_models_and_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("upsample", "", "Pocket"):
        with pytest.raises(InputError, match=r"model: expected one of pocket, base40M-textvec, .*, found"):
            load(name)
    with pytest.raises(InputError, match="device: expected one of"):
        load(device="tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="expected cuda"):
        load(device="cuda")
    pipeline = load(device="cpu")
    assert (pipeline.name, pipeline.device.type, pipeline.hashes) == ("pocket", "cpu", {})


@pytest.mark.parametrize(
    ("n", "settings"),
    [(128, {"n_points": 127}), (128, {"n_points": MAX_POINTS + 1}), (128, {"n_points": 200.0}),
     (128, {"seed": -1}), (128, {"seed": 2**64}), (MAX_POINTS + 1, {"n_points": MAX_POINTS + 2})],
)  # fmt: skip
def test_bad_upsampling(tiny: Make, capsule: MakeCloud, n: int, settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=ONE_LINE):
        tiny().upsample(capsule(n), **settings)


def test_bad_clouds(tiny: Make) -> None:
    one_place = PointCloud(np.ones((200, 3)), np.ones((200, 3)))
    with pytest.raises(InputError, match="one place"):
        tiny().upsample(one_place)
    for bad in (math.nan, math.inf):
        points = np.zeros((200, 3))
        points[3, 1] = bad
        with pytest.raises(InputError, match="finite"):
            tiny().upsample(PointCloud(points, np.zeros((200, 3))))


# --- damaged files


def use_of(pipeline: Pipeline, member: str, cloud: PointCloud) -> Any:
    if member == "sdf":
        return pipeline.mesh(cloud, grid_size=8)
    prompt = "a dog" if member in ("base", "up") else "a cat"  # what the base network knows, and what it does not
    return pipeline.generate(prompt, n_points=1025 if member == "up" else 64)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def rewrite(path: Path, *, change: Callable[[dict[str, Any], dict[str, torch.Tensor]], object]) -> None:
    weights = read_weights(path)
    info, state = dict(weights.info), dict(weights.state)
    change(info, state)
    save_weights(path, state, info, "float32")


def put_nan(path: Path) -> None:
    rewrite(path, change=lambda info, state: next(iter(state.values())).flatten()[:1].fill_(math.nan))


def put_another_size(path: Path) -> None:
    rewrite(path, change=lambda info, state: info.update(config={**info["config"], "width": 64}))


def put_another_kind(path: Path) -> None:
    rewrite(path, change=lambda info, state: info.update(kind="unet"))


def put_another_config(path: Path) -> None:
    rewrite(path, change=lambda info, state: info.update(config={"depth": 3}))


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "absent": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"\xff" * 1000),
    "truncated": truncate,
    "nan": put_nan,
    "another size": put_another_size,
    "another kind": put_another_kind,
    "another config": put_another_config,
}


@pytest.mark.parametrize("member", ["base", "layout", "detail", "up", "sdf"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_weights(
    tiny: Make,
    tiny_folder: Path,
    tiny_sdf: SightSDF,
    use_folder: Callable[[Path], None],
    capsule: MakeCloud,
    tmp_path: Path,
    member: str,
    damage: str,
) -> None:
    folder = tmp_path / "family"
    shutil.copytree(tiny_folder, folder)
    path = folder / f"pocket-{member}.safetensors"
    DAMAGE[damage](path)
    pipeline = tiny()
    use_folder(folder)
    with pytest.raises(WeightsError, match=r"expected|missing") as caught:
        use_of(pipeline, member, capsule(64))
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert member not in pipeline.hashes


@pytest.mark.parametrize(
    ("member", "instead"),
    [("base", "layout"), ("layout", "detail"), ("detail", "up"), ("up", "base"), ("sdf", "layout"), ("layout", "sdf")],
)
def test_one_members_file_in_anothers_place(
    tiny: Make,
    tiny_folder: Path,
    tiny_sdf: SightSDF,
    use_folder: Callable[[Path], None],
    capsule: MakeCloud,
    tmp_path: Path,
    member: str,
    instead: str,
) -> None:
    folder = tmp_path / "family"
    shutil.copytree(tiny_folder, folder)
    shutil.copy(folder / f"pocket-{instead}.safetensors", folder / f"pocket-{member}.safetensors")
    pipeline = tiny()
    use_folder(folder)
    with pytest.raises(WeightsError, match=f"pocket-{member}.safetensors: expected"):
        use_of(pipeline, member, capsule(64))


@pytest.mark.parametrize(
    ("member", "wrong"),
    [("base", {"text_tokens": 0}), ("layout", {"text_tokens": "many"}), ("base", {"text_tokens": None}),
     ("up", {"cell": {"anchors": 0}}), ("up", {"cell": {"fine": 3}}), ("up", {"cell": {"children": "3"}}),
     ("up", {"cell": {"anchors": 12.5}}), ("up", {"cell": None})],
)  # fmt: skip
def test_descriptions_that_do_not_fit(
    tiny: Make,
    tiny_folder: Path,
    use_folder: Callable[[Path], None],
    capsule: MakeCloud,
    tmp_path: Path,
    member: str,
    wrong: dict[str, Any],
) -> None:
    folder = tmp_path / "family"
    shutil.copytree(tiny_folder, folder)
    rewrite(folder / f"pocket-{member}.safetensors", change=lambda info, state: info.update(wrong))
    pipeline = tiny()
    use_folder(folder)
    with pytest.raises(WeightsError, match=f"expected the {member} model"):
        use_of(pipeline, member, capsule(64))


def test_an_upsampler_that_is_not_shown_its_anchors(
    tiny: Make, tiny_folder: Path, use_folder: Callable[[Path], None], tmp_path: Path
) -> None:
    config = PointTransformerConfig(
        width=32, layers=1, heads=2, output_channels=6, time_as_token=False, low_res=True
    )  # of 6 channels
    info = {**read_weights(tiny_folder / "pocket-up.safetensors").info, "config": vars(config)}
    save_weights(tmp_path / "pocket-up.safetensors", config.build().state_dict(), info, "float32")
    pipeline = tiny()
    use_folder(tmp_path)
    with pytest.raises(WeightsError, match="12 input channels"):
        pipeline.upsample(PointCloud(np.eye(3), np.eye(3)), n_points=6)


def test_missing_weights_are_noticed_before_anything_is_drawn(
    tiny: Make, tiny_folder: Path, use_folder: Callable[[Path], None], tmp_path: Path
) -> None:
    for member in ("base", "layout"):
        shutil.copy(tiny_folder / f"pocket-{member}.safetensors", tmp_path)
    pipeline = tiny()
    use_folder(tmp_path)
    told: list[Progress] = []
    with pytest.raises(WeightsError, match="pocket-up"):
        pipeline.generate("a dog", n_points=1025, progress=told.append)
    assert told == []
    assert len(pipeline.generate("a dog", n_points=1024).cloud) == 1024


# --- other weights


def test_weights_take_the_place_of_their_own_member(
    tiny: Make, tiny_folder: Path, use_folder: Callable[[Path], None], tmp_path: Path
) -> None:
    theirs = tiny().generate("a cat", n_points=64).meta["hashes"]
    for member, other in (("layout", "detail"), ("detail", "layout")):
        mine = tmp_path / f"{member}.safetensors"
        shutil.copy(tiny_folder / f"pocket-{member}.safetensors", mine)
        rewrite(mine, change=lambda info, state: state["place"].add_(0.5))
        pipeline = PocketPipeline(MODELS["pocket"], torch.device("cpu"), sampling=Preset(steps=2), weights=mine)
        hashes = pipeline.generate("a dog", n_points=64).meta["hashes"]
        assert hashes[member] == digest(mine) != theirs[member]
        assert hashes[other] == theirs[other]
    base = tmp_path / "base.safetensors"
    shutil.copy(tiny_folder / "pocket-base.safetensors", base)
    pipeline = PocketPipeline(MODELS["pocket"], torch.device("cpu"), sampling=Preset(steps=2), weights=base)
    assert set(pipeline.generate("a cat", n_points=64).meta["hashes"]) == {"text", "base"}  # whatever is asked for
    pipeline = PocketPipeline(MODELS["pocket"], torch.device("cpu"), weights=tiny_folder / "pocket-up.safetensors")
    with pytest.raises(WeightsError, match="expected the base model"):
        pipeline.generate("a dog", n_points=64)


def test_what_the_base_network_does_not_know_is_drawn_by_the_others(tiny: Make) -> None:
    dog, cat = tiny().generate(["a dog", "a cat"], seed=[1, 1], n_points=64)
    alone = tiny()
    assert alone.generate("a cat", seed=1, n_points=64).cloud.points.tobytes() == cat.cloud.points.tobytes()
    assert set(alone.hashes) == {"text", "layout", "detail"}
    assert tiny().generate("a dog", seed=1, n_points=64).cloud.points.tobytes() == dog.cloud.points.tobytes()
    assert tiny().prompt_warnings("a cat") == []
    assert len(tiny().prompt_warnings("a boat")) == 1
    for prompt, drawn_by in (("a chair", {"base"}), ("a tree", {"base"}), ("a palm tree", {"layout", "detail"})):
        assert set(tiny().generate(prompt, n_points=64).meta["hashes"]) == {"text", *drawn_by}
    together = tiny(batch=4, dtype=torch.float32).generate(["a cat", "a dog", "a cat"], seed=[3, 4, 5], n_points=64)
    single = tiny(batch=4, dtype=torch.float32)
    for result in together:
        other = single.generate(result.prompt, seed=result.seed, n_points=64).cloud
        assert np.abs(result.cloud.points - other.points).max() < 1e-3


# --- the embedded weights


def embedded(*members: str) -> Pipeline:
    for member in members:
        if not embedded_path(member).is_file():
            pytest.skip(f"no {embedded_path(member).name} in this checkout")
    return PocketPipeline(MODELS["pocket"], torch.device("cpu"), sampling=Preset(steps=6, upsample_steps=5))


@pytest.mark.parametrize(("noun", "members"), [("car", ("base",)), ("bus", ("layout", "detail"))])
def test_the_embedded_base_stage_knows_colors_and_seeds(noun: str, members: tuple[str, ...]) -> None:
    pipeline = embedded(*members)
    red, blue, again = (
        pipeline.generate(f"a {color} {noun}", seed=0, n_points=128).cloud for color in ("red", "blue", "red")
    )
    assert again.points.tobytes() == red.points.tobytes()
    assert red.colors.mean(0)[0] > blue.colors.mean(0)[0] + 0.1
    assert blue.colors.mean(0)[2] > red.colors.mean(0)[2] + 0.1
    for member in members:
        assert pipeline.hashes[member] == digest(embedded_path(member))


def test_the_embedded_upsampler_stays_near_the_surface() -> None:
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (256, 3)).astype(np.float32)
    points[:, 2] = 0.1 * points[:, 0] ** 2
    red = np.tile(np.array([0.9, 0.1, 0.1], np.float32), (256, 1))
    dense = embedded("up").upsample(PointCloud(points, red), n_points=600)
    assert len(dense) == 600
    assert dense.points[:256].tobytes() == points.tobytes()
    new = dense.points[256:]
    assert np.abs(new[:, 2] - 0.1 * new[:, 0] ** 2).mean() < 0.07
    assert (np.abs(new[:, :2]) < 0.6).mean() > 0.95
    assert new[:, :2].std(0) == pytest.approx([1 / 12**0.5] * 2, abs=0.06)  # spread over the whole square
    assert np.abs(dense.colors[256:] - red[0]).mean() < 0.1


def test_the_embedded_sdf_model_finds_a_capsules_surface(capsule: MakeCloud) -> None:
    mesh = embedded("sdf").mesh(capsule(512), grid_size=20)
    assert mesh.is_watertight
    exact = math.pi * 0.3**2 * 0.4 + 4 / 3 * math.pi * 0.3**3
    assert 0.5 * exact < mesh.volume < 1.5 * exact
