"""The released networks' recipes at a size of a few channels, with a CLIP of a few channels."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from enpointe.checkpoints import structure
from enpointe.checkpoints.adapters import to_released
from enpointe.checkpoints.loading import export_released, load_released
from enpointe.checkpoints.released import RELEASED, RELEASED_SDF
from enpointe.checkpoints.weights import read_weights, sha256
from enpointe.core.errors import InputError, WeightsError
from enpointe.core.progress import Progress
from enpointe.diffusion.loss import eps_loss
from enpointe.encoders.clip import clip
from enpointe.encoders.images import CLIP_MEAN, CLIP_STD
from enpointe.pipelines.load import load
from enpointe.training import recipe as recipes
from enpointe.training.loop import train_task
from enpointe.training.low_rank import add_low_rank
from enpointe.training.recipe import Recipe, train
from enpointe.training.tasks import RECIPES, _point_e
from enpointe.training.tasks._point_e import TAKES, PointEExamples
from enpointe.training.tasks.point_e_sdf import ReleasedSDFExamples, ReleasedSDFTaskConfig, weighted_l1
from point_e.models.configs import MODEL_CONFIGS, model_from_config
from point_e.models.pretrained_clip import ImageCLIP
from tiny_clip import PROJECTION, VISION, save_tiny_clip
from training.drawing import collated, drawn
from training.tasks.examples import Balls

CPU = torch.device("cpu")
COARSE, NEW = 32, 96
BALLS = Balls(COARSE + NEW)
DIFFUSION = {f"point-e-{name.lower()}": name for name in TAKES}
NAMES = (*DIFFUSION, "point-e-sdf")
NEVER = 1e9


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    save_tiny_clip(folder)
    return folder


@pytest.fixture(autouse=True)
def tiny(clip_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every released network, CLIP and recipe of a few channels and points."""
    for name, model in RELEASED.items():
        config = replace(
            model.config, width=16, layers=2, heads=2,
            vector=PROJECTION if model.config.vector else 0,
            grids=tuple((grid, VISION) for grid, _ in model.config.grids),
        )  # fmt: skip
        monkeypatch.setitem(RELEASED, name, replace(model, config=config, n_points=NEW if config.low_res else COARSE))
        monkeypatch.setitem(structure.BUILDERS, name, config.build)
    sdf = replace(RELEASED_SDF, width=16, encoder_layers=1, encoder_heads=2, decoder_layers=1, decoder_heads=2)
    monkeypatch.setitem(structure.BUILDERS, "sdf", sdf.build)
    monkeypatch.setattr(_point_e, "COARSE_POINTS", COARSE)
    monkeypatch.setattr(recipes.Plan, "open_data", lambda self: BALLS)
    for name in NAMES:
        monkeypatch.setitem(RECIPES._found, name, smaller(RECIPES[name], sdf))
    monkeypatch.setenv("ENPOINTE_CLIP", str(clip_folder))
    monkeypatch.setattr(ImageCLIP, "feature_dim", PROJECTION)
    monkeypatch.setattr(ImageCLIP, "grid_feature_dim", VISION)
    clip.cache_clear()
    yield
    clip.cache_clear()


def smaller(recipe: Recipe[Any], sdf: Any) -> Recipe[Any]:
    """Of one phase with batches of 4, never interrupted for images and validation, saved after every step."""
    (phase,) = recipe.settings.phases
    if isinstance(recipe.task, ReleasedSDFTaskConfig):
        phase = replace(phase, examples=ReleasedSDFExamples(n_points=COARSE, n_queries=32))
        recipe = replace(recipe, task=replace(recipe.task, network=sdf))
    settings = replace(
        recipe.settings, phases=(replace(phase, batch=4),), warmup=2, compile=False, dtype="float32",
        validate_every=NEVER, checkpoint_every=0.0, image_every=NEVER,
    )  # fmt: skip
    return replace(recipe, settings=settings)


def run(name: str, folder: Path, **options: Any) -> Path:
    """A run from memory, silent, that draws no images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("enpointe.training.loop.save_image", lambda *_: None)
        return train(name, run_dir=folder, data=["balls"], device="cpu", report=lambda line: None, **options)


def network_of(name: str) -> nn.Module:
    """The recipe's, with an output that depends on everything: a fresh one's is zero."""
    network = RECIPES[name].make(BALLS, Path()).network
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return network


def weights_file(name: str, folder: Path) -> Path:
    """A weight file of such a network, as a run leaves it."""
    path = folder / f"{name}.safetensors"
    torch.save(to_released(network_of(name).state_dict()), path.with_suffix(".pt"))
    return path.with_suffix(".pt")


def test_there_is_a_recipe_for_every_network() -> None:
    assert {name for name in RECIPES if name.startswith("point-e-")} == set(NAMES)
    assert set(TAKES) == set(RELEASED)
    page = (Path(__file__).parents[3] / "docs" / "finetuning.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(point-e-[\w-]+)` \| `([\w-]+)` \|.*\| ([\d.e-]+)[^|]*\|$", page, re.MULTILINE)
    assert {name: (model, float(rate)) for name, model, rate in rows} == {
        name: (DIFFUSION.get(name, "sdf"), RECIPES[name].settings.learning_rate) for name in NAMES
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_falls_on_one_batch(name: str) -> None:
    recipe = RECIPES[name]
    task = recipe.make(BALLS, Path())
    batch = drawn(task, recipe.settings.phases[0].examples, n=4)
    optimizer = torch.optim.Adam(task.network.parameters(), lr=1e-2)
    losses = []
    for _ in range(40):
        found = task.losses(task.network, batch)
        loss = found.value.mean()
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.7 * losses[0], losses
    assert all(value.shape == (4,) and not value.requires_grad for value in found.metrics.values())


@pytest.mark.parametrize("name", DIFFUSION)
def test_conditions_are_clip_s_and_one_in_ten_is_left_out(name: str) -> None:
    task, encoder = RECIPES[name].make(BALLS, Path()), clip(CPU)
    batch = drawn(task, PointEExamples(drop=0.0), n=3, training=False)
    takes = TAKES[DIFFUSION[name]]
    if takes == "text vector":
        torch.testing.assert_close(batch["vector"], encoder.texts(["ball number 4"] * 3), rtol=1e-4, atol=1e-5)
    elif takes == "image vector":
        assert batch["vector"].shape == (3, PROJECTION)
        assert batch["vector"].norm(dim=1) == pytest.approx(1)
    elif takes == "image grid":
        assert batch["grid"].shape == (3, VISION, 16)
    key = next((key for key in ("vector", "grid") if key in batch), None)
    assert (key is None) == (takes == "nothing")
    if key is not None:
        mine, other = (drawn(task, PointEExamples(drop=drop), n=40)[key] for drop in (0.0, 0.3))
        left_out = (other == 0).flatten(1).all(1)
        assert 3 < left_out.sum() < 25
        assert torch.equal(mine[~left_out], other[~left_out])
        assert (mine != 0).flatten(1).any(1).all()


def test_the_objective_is_the_release_s() -> None:
    task = RECIPES["point-e-base40m-textvec"].make(BALLS, Path())
    batch = drawn(task, PointEExamples(), n=4)
    assert batch["x0"].shape == (4, 6, COARSE)
    assert batch["x0"][:, :3].abs().max() == pytest.approx(1, abs=0.05)  # model units: twice the unit frame
    found = task.losses(network := network_of("point-e-base40m-textvec"), batch)
    process = RELEASED["base40M-textvec"].process
    assert (process.schedule, len(process)) == ("cosine", 1024)
    expected = eps_loss(network, process, batch["x0"], batch["index"], batch["noise"], vector=batch["vector"])
    assert torch.equal(found.value, expected.loss)
    assert torch.equal(found.metrics["noise error"] + found.metrics["variance bound"], expected.loss)
    assert found.noise_level is not None
    assert (found.noise_level >= 0).all()
    assert (found.noise_level < 1).all()


def test_the_upsampler_sees_a_part_of_the_cloud_and_draws_the_rest() -> None:
    batch = drawn(RECIPES["point-e-upsample"].make(BALLS, Path()), PointEExamples(), n=2, training=False)
    assert batch["low_res"].shape == (2, 6, COARSE)
    assert batch["x0"].shape == (2, 6, NEW)
    assert batch["low_res"][:, 3:].min() >= 0
    assert 1 < batch["low_res"][:, 3:].max() <= 255
    both = torch.cat([batch["low_res"][:, :3], batch["x0"][:, :3] / 2], dim=2)
    assert both.norm(dim=1) == pytest.approx(0.5, abs=1e-5)
    assert len(both[0].T.unique(dim=0)) == COARSE + NEW
    assert RELEASED["upsample"].process.schedule == "linear"


def test_views_lie_on_white_and_a_caption_is_any_in_training() -> None:
    pixels = collated(RECIPES["point-e-base40m"].make(BALLS, Path()), PointEExamples(), training=False).arrays["pixels"]
    white = (1 - torch.tensor(CLIP_MEAN)) / torch.tensor(CLIP_STD)
    torch.testing.assert_close(pixels[0, :, 0, 0], white, rtol=0.02, atol=0.02)
    task = RECIPES["point-e-base40m-textvec"].make(BALLS, Path())
    held_out, training = (collated(task, PointEExamples(), n=20, training=how).arrays["ids"] for how in (False, True))
    assert len(held_out.unique(dim=0)) == 1
    assert len(training.unique(dim=0)) == 5  # four balls by their numbers, and any


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        (
            "point-e-base40m",
            replace(BALLS, views=False),
            "images: expected views of every example, found none of ball/0",
        ),
        ("point-e-upsample", Balls(100), f"clouds: expected at least {COARSE + NEW} points, found 100"),
    ],
)
def test_data_that_lack_something(name: str, data: Balls, message: str) -> None:
    with pytest.raises(InputError, match=message):
        collated(RECIPES[name].make(data, Path()), PointEExamples())


def test_without_clip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clip.cache_clear()
    monkeypatch.setenv("ENPOINTE_CLIP", str(tmp_path))
    with pytest.raises(WeightsError, match=r"ENPOINTE_CLIP.*no config\.json"):
        run("point-e-base40m", tmp_path / "run", steps=1)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"pip install 'enpointe\[clip\]'"):
        run("point-e-base40m", tmp_path / "run", steps=1)
    assert not (tmp_path / "run").exists()


def states(folder: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = torch.load(folder / "checkpoint.pt", weights_only=True)["network"]
    return state


def stop_at_2(progress: Progress) -> None:
    if progress.done == 2:
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("name", ["point-e-base40m-textvec", "point-e-upsample", "point-e-sdf"])
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(name: str, tmp_path: Path) -> None:
    run(name, tmp_path / "whole", steps=4)
    run(
        name,
        tmp_path / "parts",
        steps=4,
        progress=lambda p: signal.raise_signal(signal.SIGTERM) if p.done == 2 else None,
    )
    assert torch.load(tmp_path / "parts" / "checkpoint.pt", weights_only=True)["run_state"]["step"] == 2
    run(name, tmp_path / "parts", steps=4, resume=True)
    whole, parts = states(tmp_path / "whole"), states(tmp_path / "parts")
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_microbatches_are_the_same_step(tmp_path: Path) -> None:
    recipe = RECIPES["point-e-base40m"]
    for size in (None, 3):
        task = recipe.make(BALLS, Path())
        settings = replace(recipe.settings, microbatch=size, optimizer="adamw")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("enpointe.training.loop.save_image", lambda *_: None)
            train_task(task, settings, tmp_path / str(size), device=CPU, steps=2, report=lambda line: None)
    whole, parts = states(tmp_path / "None"), states(tmp_path / "3")
    for key in whole:
        torch.testing.assert_close(parts[key], whole[key], rtol=1e-4, atol=1e-6)


# --- fine-tuning


def in_point_e(name: str, path: Path) -> nn.Module:
    """A file in the release's own class."""
    sizes = {
        "width": 16, "layers": 2, "heads": 2, "n_ctx": NEW if name == "upsample" else COARSE, "cond_ctx": COARSE,
        "encoder_layers": 1, "encoder_heads": 2, "decoder_layers": 1, "decoder_heads": 2,
    }  # fmt: skip
    config = MODEL_CONFIGS[name]
    model: nn.Module = model_from_config({**config, **{key: n for key, n in sizes.items() if key in config}}, CPU)
    model.load_state_dict(torch.load(path, weights_only=True))
    return model.eval()


@pytest.mark.parametrize("name", NAMES)
def test_what_a_run_leaves_loads_in_the_release_s_class(name: str, tmp_path: Path) -> None:
    model = DIFFUSION.get(name, "sdf")
    best = run(name, tmp_path / "run", steps=1)
    export_released(model, tmp_path / "out.pt", best)
    assert sum(p.numel() for p in in_point_e(model, tmp_path / "out.pt").parameters()) > 1000


def output(network: Callable[..., Tensor], **cond: Any) -> Tensor:
    x = torch.randn(2, 6, COARSE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return network(x, torch.tensor([3, 500]), **cond)


@pytest.mark.parametrize("low_rank", [None, 2])
def test_a_fine_tuned_network_is_saved_as_the_release_s_code_loads_it(low_rank: int | None, tmp_path: Path) -> None:
    if low_rank:
        pytest.importorskip("peft", reason="peft is not installed")
    name, model = "point-e-base40m-textvec", "base40M-textvec"
    init = weights_file(name, tmp_path)
    best = run(name, tmp_path / "run", steps=3, init=str(init), low_rank=low_rank)
    info = read_weights(best).info
    assert (info["released"], info["init"]["sha256"], info.get("low_rank")) == (model, sha256(init), low_rank)
    network = load_released(model, path=best)[0]
    before = load_released(model, path=init)[0].state_dict()
    moved = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    matrices = {key for key in before if ".resblocks." in key and key.endswith("c_proj.weight")}
    assert matrices <= moved
    assert (moved == set(before)) == (low_rank is None)
    export_released(model, tmp_path / "out.pt", best)
    vector = torch.nn.functional.normalize(torch.ones(2, PROJECTION), dim=1)
    theirs = in_point_e(model, tmp_path / "out.pt")
    torch.testing.assert_close(
        output(theirs, embeddings=vector), output(network, vector=vector), rtol=1e-4, atol=1e-4
    )  # fmt: skip


def test_a_low_rank_run_is_what_the_adapted_network_computes(tmp_path: Path) -> None:
    pytest.importorskip("peft", reason="peft is not installed")
    name = "point-e-base40m-uncond"
    best = run(name, tmp_path / "run", steps=3, init=str(weights_file(name, tmp_path)), low_rank=2)
    task = RECIPES[name].make(BALLS, Path())
    add_low_rank(task.network, 2)
    saved = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    task.network.load_state_dict({**saved["network"], **saved["ema"][0]})
    plain = load_released("base40M-uncond", path=best)[0]
    torch.testing.assert_close(output(plain), output(task.network), rtol=1e-4, atol=1e-5)
    run(name, tmp_path / "run", steps=4, resume=True)  # it knows the rank
    info = read_weights(tmp_path / "run" / "latest.safetensors").info
    assert (info["init"]["sha256"], info["low_rank"]) == (sha256(tmp_path / f"{name}.pt"), 2)
    assert info["training"]["steps"] == 4
    with pytest.raises(InputError, match="resume: expected the run's own low rank, 2, found 3"):
        run(name, tmp_path / "run", steps=5, resume=True, low_rank=3)


def test_clouds_are_generated_with_fine_tuned_weights(tmp_path: Path) -> None:
    name = "point-e-base40m-uncond"
    best = run(name, tmp_path / "run", steps=2, init=str(weights_file(name, tmp_path)))
    result = load("base40M-uncond", device="cpu", dtype="float32", weights=best).generate(
        n_points=64, steps=2, progress=False
    )
    assert result.meta["hashes"]["base"] == sha256(best)
    assert np.isfinite(result.cloud.points).all()


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    init = weights_file("point-e-base40m-uncond", tmp_path)
    with pytest.raises(WeightsError, match="expected the weights of base40M-textvec, found others"):
        run("point-e-base40m-textvec", tmp_path / "run", steps=1, init=str(init))
    with pytest.raises(WeightsError, match=r"none\.pt: expected a checkpoint"):
        run("point-e-base40m-textvec", tmp_path / "run", steps=1, init=str(tmp_path / "none.pt"))
    assert not (tmp_path / "run").exists()


def test_what_the_network_makes_is_drawn() -> None:
    for name in ("point-e-base40m-textvec", "point-e-upsample"):
        task = RECIPES[name].make(BALLS, Path())
        assert task.image(network_of(name).requires_grad_(False).eval()).shape[2] == 3


def test_errors_that_take_a_place_for_outside_count_four_times() -> None:
    true = torch.tensor([[0.1, -0.2]])
    assert weighted_l1(true + 0.1, true).tolist() == pytest.approx([0.1])
    assert weighted_l1(true - 0.1, true).tolist() == pytest.approx([0.4])
    assert weighted_l1(true + torch.tensor([0.1, -0.1]), true).tolist() == pytest.approx([0.25])
