"""Which classifier is loaded, what it says of itself, and that the embedded one still knows its objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from enpointe.checkpoints.weights import save_weights
from enpointe.core.errors import InputError, WeightsError
from enpointe.data.procedural.families import FAMILIES
from enpointe.data.procedural.sampling import sample_surface
from enpointe.evaluation.classifiers import CLASSIFIERS, Classifier, load_classifier, released
from enpointe.evaluation.measures.classifier_scores import p_fid
from enpointe.evaluation.measures.features import embed
from enpointe.nn.pointnet2 import PointNet2, PointNet2Config
from enpointe.nn.sight import SightSDFConfig

SEED = 30_000
"""Far from the seeds that the classifier learned from."""


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ENPOINTE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ENPOINTE_OFFLINE", "1")
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def pocket() -> Classifier:
    return load_classifier("pocket")


@pytest.fixture(scope="module")
def fresh() -> Any:
    """clouds(families, each, first): objects (n, 1024, 3) that nobody has seen."""

    def clouds(families: tuple[str, ...], each: int = 1, first: int = 0) -> NDArray[np.float32]:
        found = []
        for number, name in enumerate(families):
            for turn in range(first, first + each):
                rng = np.random.default_rng((SEED, number, turn))
                found.append(sample_surface(FAMILIES[name].assemble(rng), 1024, rng).points)
        return np.stack(found).astype(np.float32)

    return clouds


def test_auto_is_the_embedded_one_where_nothing_was_downloaded(empty_cache: Path) -> None:
    classifier = load_classifier()
    assert classifier.name == "pocket-classifier"
    assert classifier.network.feature_dim == 256
    assert classifier.classes is not None
    assert len(classifier.classes) == classifier.network.classes
    assert "never with published ones" in classifier.note
    assert not classifier.network.training
    assert not empty_cache.exists()


def test_auto_is_the_released_one_where_it_lies_in_the_cache(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def loaded(name: str, *, path: Path | None, device: str) -> tuple[PointNet2, str]:
        calls.append((name, path, device))
        return PointNet2(width=0.1).eval(), "digest"

    monkeypatch.setattr(released, "load_released", loaded)
    empty_cache.mkdir()
    (empty_cache / "pointnet.safetensors").write_bytes(b"weights")
    classifier = load_classifier("auto")
    assert calls == [("pointnet", None, "cpu")]
    assert (classifier.name, classifier.classes, classifier.sha256) == ("pointnet", None, "digest")
    assert dict(classifier.quality) == {}
    assert load_classifier("pocket").name == "pocket-classifier"
    assert classifier.note != load_classifier("pocket").note


def test_released_weights_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = PointNet2().eval()
    torch.save({"model_state_dict": network.state_dict()}, tmp_path / "pointnet.pt")
    loaded = load_classifier("released", path=tmp_path / "pointnet.pt").network
    points = torch.rand(2, 3, 40)
    with torch.inference_mode():
        assert torch.equal(loaded(points).features, network(points).features)


def test_released_weights_that_are_nowhere() -> None:
    with pytest.raises(WeightsError, match="pointnet"):
        load_classifier("released")


def test_the_names_are_those_of_the_command() -> None:
    assert set(CLASSIFIERS) == {"pocket", "released"}


@pytest.mark.parametrize(("choice", "path"), [("pointnet", None), ("", None), ("auto", Path("x"))])
def test_choices(choice: str, path: Path | None) -> None:
    with pytest.raises(InputError, match=r"classifier: expected .*pocket, released.*found"):
        load_classifier(choice, path=path)


CONFIG = PointNet2Config(classes=2, width=0.1, samples=(4, 2), neighbours=(2, 2))
SIGHT = SightSDFConfig(width=4, layers=1, nearest=2, grids=(3,))
INFO = {**CONFIG.described(), "classes": ["a", "b"], "quality": {}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (SIGHT.described(), "weights of a PointNet2, found those of a sight_sdf"),
        ({"config": {}}, "can be built, found PointNet2Config"),
        ({"classes": ["a"]}, "names of 2 classes"),
        ({"classes": ["a", 2]}, "names of 2 classes"),
        ({"classes": None}, "names of 2 classes"),
        ({"quality": None}, "measured quality"),
    ],
)
def test_files_that_are_no_classifier(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "weights.safetensors"
    state = CONFIG.build().state_dict()
    save_weights(path, state, INFO)
    assert load_classifier("pocket", path=path).classes == ("a", "b")
    save_weights(path, state, {**INFO, **change})
    with pytest.raises(WeightsError, match=message):
        load_classifier("pocket", path=path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="found none"):
        load_classifier("pocket", path=tmp_path / "none.safetensors")


@pytest.mark.slow
def test_it_names_fresh_objects(pocket: Classifier, fresh: Any) -> None:
    """One fresh object of every second family: a guard, somewhat below what the card states."""
    families = tuple(FAMILIES)[::2]
    assert pocket.classes is not None
    probabilities = embed(pocket.network, fresh(families)).probabilities
    right = np.array(pocket.classes)[probabilities.argmax(axis=1)] == np.array(families)
    assert right.mean() > 0.85, dict(zip(np.array(families)[~right], probabilities.argmax(axis=1)[~right], strict=True))


def test_its_file_states_its_quality(pocket: Classifier) -> None:
    assert pocket.quality["objects"] > 500
    for size in ("1024 points", "4096 points"):
        measured = pocket.quality[size]
        assert 0.8 < measured["right"] <= measured["right among five"] <= 1


@pytest.mark.slow
def test_like_sets_are_near_and_other_ones_far(pocket: Classifier, fresh: Any) -> None:
    """Two sets of chairs, and chairs held against armchairs and cars; noise and thinning lie between."""
    chairs, more = fresh(("chair",), 16), fresh(("chair",), 16, first=16)
    sets = {
        "like": more,
        "rough": more + np.random.default_rng(0).normal(0, 0.03, more.shape).astype(np.float32),
        "armchairs": fresh(("armchair",), 16),
        "cars": fresh(("car",), 16),
    }
    ours = embed(pocket.network, chairs).features
    far = {name: p_fid(ours, embed(pocket.network, other).features, resamples=0).value for name, other in sets.items()}
    assert far["like"] < far["rough"]
    assert 3 * far["like"] < far["armchairs"]
    assert 5 * far["like"] < far["cars"]
