"""The release's evaluation modules and scripts, by their names, with random weights of the true sizes."""

from __future__ import annotations

import io
import runpy
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from enpointe.core.errors import InputError
from enpointe.evaluation.measures.features import extract
from enpointe.evaluation.measures.frechet import FeatureStatistics, frechet_distance
from enpointe.evaluation.measures.inception import inception_score
from enpointe.geometry.unit_ball import normalized
from enpointe.nn.pointnet2 import PointNet2
from point_e.evals.fast import as_enpointe
from point_e.evals.feature_extractor import (
    FeatureExtractor,
    PointNetClassifier,
    get_torch_devices,
    normalize_point_clouds,
)
from point_e.evals.fid_is import FIDStatistics, InvalidFIDException, compute_inception_score, compute_statistics
from point_e.evals.npz_stream import (
    CombinedReader,
    MemoryNpzArrayReader,
    NpzStreamer,
    NumpyArrayInfo,
    open_npz_arrays,
)
from point_e.evals.pointnet2_cls_ssg import get_model

Read = Callable[[str], tuple[dict[str, Tensor], dict[str, Any]]]


def relative_error(found: Any, expected: Any) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.fixture(scope="module")
def network() -> PointNet2:
    """Random weights; statistics that let features differ between clouds as a trained network's do."""
    torch.manual_seed(0)
    network = PointNet2().eval()
    for name, buffer in network.named_buffers():
        if name.endswith("running_var"):
            buffer.fill_(0.2)
    return network


@pytest.fixture
def cache(tmp_path: Path, network: PointNet2, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A release's cache folder with `pointnet.pt`; whatever the package would keep for itself goes elsewhere."""
    folder = tmp_path / "point_e_model_cache"
    folder.mkdir()
    torch.save({"model_state_dict": network.state_dict()}, folder / "pointnet.pt")
    monkeypatch.setenv("ENPOINTE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def batches(tmp_path: Path) -> tuple[Path, Path]:
    rng = np.random.default_rng(0)
    paths = tmp_path / "a.npz", tmp_path / "b.npz"
    for path, scale in zip(paths, ((1, 1, 1), (1, 0.5, 0.2)), strict=True):
        np.savez(path, rng.normal(size=(3, 40, 3)) * scale)
    return paths


def run(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    runpy.run_module(f"point_e.evals.scripts.{name}", run_name="__main__")


@pytest.mark.slow
def test_pfid_script(
    cache: Path, batches: tuple[Path, Path], network: PointNet2, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    run(monkeypatch, "evaluate_pfid", *batches)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "creating classifier..."
    features = [extract(network, [np.load(path)["arr_0"]]).features for path in batches]
    expected = frechet_distance(*(FeatureStatistics.of(part) for part in features))
    assert printed[-1].startswith("P-FID: ")
    assert float(printed[-1].removeprefix("P-FID: ")) == pytest.approx(expected, rel=1e-6)
    assert expected > 0


def test_pis_script(
    cache: Path, batches: tuple[Path, Path], network: PointNet2, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    run(monkeypatch, "evaluate_pis", "--cache_dir", cache, f"{batches[0]}[:2]")
    expected = inception_score(extract(network, [np.load(batches[0])["arr_0"][:2]]).probabilities)
    printed = capsys.readouterr().out.splitlines()[-1]
    assert float(printed.removeprefix("P-IS: ")) == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
def test_a_script_refuses_a_bad_file(tmp_path: Path) -> None:
    """In a process of its own: one line, exit code 2, no traceback, before any weights are asked for."""
    (tmp_path / "a.npz").write_bytes(b"no zip")
    command = [sys.executable, "-m", "point_e.evals.scripts.evaluate_pis", str(tmp_path / "a.npz")]
    source = Path(__file__).parents[2] / "src"
    result = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(source)}, check=False
    )
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "a.npz: expected an NPZ file" in result.stderr


@pytest.mark.slow
def test_classifier(cache: Path, tmp_path: Path, network: PointNet2) -> None:
    """Two devices share a batch; a cloud's sampling starts at its place in its device's part."""
    clouds = np.random.default_rng(1).normal(size=(3, 600, 3))  # more points than centers, so that it matters where
    np.savez(tmp_path / "clouds.npz", clouds)
    classifier = PointNetClassifier(["cpu", "cpu"], device_batch_size=2, cache_dir=str(cache))
    assert isinstance(classifier, FeatureExtractor)
    assert classifier.supports_predictions
    assert (classifier.feature_dim, classifier.num_classes) == (512, 40)
    features, predictions = classifier.features_and_preds(NpzStreamer(str(tmp_path / "clouds.npz")))
    expected = extract(network, [clouds], start_period=2)
    assert relative_error(features, expected.features) < 1e-5
    assert relative_error(predictions, expected.probabilities) < 1e-4
    own = extract(network, [clouds[1:2]], start_period=1).features[0]
    assert relative_error(features[1], own) > 1e-4


@pytest.mark.slow
def test_a_changed_classifier_is_the_one_that_is_used(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its modules' own calls, which give what enpointe's network does."""
    np.savez(tmp_path / "clouds.npz", np.random.default_rng(1).normal(size=(3, 600, 3)))
    streamer = NpzStreamer(str(tmp_path / "clouds.npz"))
    classifier = PointNetClassifier(["cpu"], device_batch_size=2, cache_dir=str(cache))
    expected = classifier.features_and_preds(streamer)
    calls: list[Any] = []
    classifier.models[0].sa2.register_forward_hook(lambda module, args, output: calls.append(len(output[1])))
    for found, plain in zip(classifier.features_and_preds(streamer), expected, strict=True):
        assert relative_error(found, plain) < 1e-4
    assert calls == [2, 1]
    classifier.models[0] = classifier.models[0].train().eval()

    def doubled(clouds: Any) -> Any:
        calls.append("normalized")
        return 2 * normalized(clouds)

    monkeypatch.setattr("point_e.evals.feature_extractor.normalize_point_clouds", doubled)
    changed = PointNetClassifier(["cpu"], cache_dir=str(cache)).features_and_preds(streamer)
    assert calls[-1] == "normalized"
    assert relative_error(changed[0], expected[0]) > 1e-2


@pytest.mark.slow
def test_what_stands_for_a_classifier_is_what_it_is_set_to(network: PointNet2) -> None:
    model = get_model(40, normal_channel=False, width_mult=2).eval()
    model.load_state_dict(network.state_dict())
    cloud = torch.from_numpy(normalized(np.random.default_rng(2).normal(size=(1, 700, 3)))).float().transpose(1, 2)
    for change in ({}, {"npoint": 100}, {"radius": 0.5}, {"nsample": 8}):
        vars(model.sa1).update(change)
        stand_in = as_enpointe(model)
        assert stand_in is not None
        with torch.no_grad():
            found, expected = stand_in(cloud).features, model(cloud, features=True)[2]
        assert relative_error(found.numpy(), expected.numpy()) < 1e-4
    model.bn2.eps = 0.1
    assert as_enpointe(model) is None
    assert as_enpointe(get_model(40)) is None  # in training


@pytest.mark.slow
def test_a_client_asks_the_classifier_s_networks_itself(cache: Path) -> None:
    class Logits(PointNetClassifier):
        def logits(self, clouds: Tensor) -> Tensor:
            return self.models[0](clouds, features=True)[0]

    classifier = Logits(["cpu"], cache_dir=str(cache))
    with torch.no_grad():
        log_probs, pooled, features = classifier.models[0](torch.randn(2, 3, 600), features=True)
        assert (log_probs.shape, pooled.shape, features.shape) == ((2, 40), (2, 2048, 1), (2, 512))
        assert classifier.logits(torch.randn(2, 3, 600)).shape == (2, 40)


@pytest.mark.golden
def test_recorded_features(golden: Read) -> None:
    tensors, _ = golden("pointnet")
    model = get_model(tensors["w.fc3.bias"].shape[0], normal_channel=False, width_mult=1).eval()
    model.load_state_dict({key.removeprefix("w."): value for key, value in tensors.items() if key.startswith("w.")})
    with torch.no_grad():
        log_probs, _, features = model(tensors["normalized"].transpose(1, 2), features=True)
    assert relative_error(log_probs.numpy(), tensors["log_probs"].numpy()) < 2e-5
    assert relative_error(features.numpy(), tensors["features"].numpy()) < 2e-5


def test_devices() -> None:
    assert get_torch_devices()
    assert all(torch.device(device) for device in get_torch_devices())


def test_normalize_point_clouds() -> None:
    clouds = np.random.default_rng(0).normal(size=(2, 9, 3))
    np.testing.assert_array_equal(normalize_point_clouds(clouds), normalized(clouds))


@pytest.mark.golden
def test_fid_is(golden: Read) -> None:
    tensors, _ = golden("fid_is")
    a, b = (compute_statistics(tensors[f"features_{i}"].numpy()) for i in (1, 2))
    assert a.frechet_distance(b, eps=1e-6) == pytest.approx(float(tensors["fid"]), rel=1e-9)
    assert compute_inception_score(tensors["preds"].numpy(), split_size=200) == pytest.approx(
        float(tensors["inception_score_split200"]), rel=1e-6
    )


def test_statistics_of_one_dimension() -> None:
    a, b = FIDStatistics(np.array(1.0), np.array(4.0)), FIDStatistics(np.array(3.0), np.array(1.0))
    assert a.frechet_distance(b) == pytest.approx(4 + 1)
    assert issubclass(InvalidFIDException, Exception)


def test_npz_streamer(batches: tuple[Path, Path]) -> None:
    pattern = f"{batches[0].parent}/*.npz[:5]"
    streamer = NpzStreamer(pattern)
    assert (streamer.keys(), streamer.trunc_length) == (["arr_0"], 5)
    assert streamer.paths == [str(path) for path in batches]
    assert [len(batch["arr_0"]) for batch in streamer.stream(2, ["arr_0"])] == [2, 2, 1]
    info = NumpyArrayInfo.infos_from_first_file(pattern)["arr_0"]
    assert (info.name, info.dtype, info.shape, info.elem_shape) == ("arr_0", np.dtype(float), (3, 40, 3), (40, 3))
    info.validate()


def test_readers_of_arrays(tmp_path: Path) -> None:
    path = str(tmp_path / "all.npz")
    arrays: dict[str, Any] = {
        "rows": np.arange(10.0).reshape(5, 2), "columns": np.asfortranarray(np.arange(10).reshape(5, 2)),
        "names": np.array(list("abcde")), "nothing": np.array([""] * 5).astype("U0"),
    }  # fmt: skip
    np.savez(path, **arrays, longer=np.arange(6), object=np.array([None]))
    with open_npz_arrays(path, list(arrays)) as readers:
        assert isinstance(readers[1], MemoryNpzArrayReader)
        both = CombinedReader(list(arrays), readers)
        for start, count in ((0, 3), (3, 2)):
            batch = both.read_batch(3)
            assert batch is not None
            for name, values in arrays.items():
                np.testing.assert_array_equal(batch[name], values[start : start + count])
        assert both.read_batch(3) is None
    with open_npz_arrays(path, ["rows", "longer"]) as readers, pytest.raises(InputError, match="arrays of one length"):
        list(iter(lambda: CombinedReader(["rows", "longer"], readers).read_batch(4), None))
    for name, message in (("object", "plain values"), ("other", "expected an array 'other'")):
        with pytest.raises(InputError, match=message), open_npz_arrays(path, [name]):
            pass


def test_a_cut_array_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "cut.npz"
    whole = io.BytesIO()
    np.save(whole, np.arange(8.0).reshape(4, 2))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("arr_0.npy", whole.getvalue()[:-8])
    with pytest.raises(InputError, match="array data: expected 64 bytes, found 56"):
        list(NpzStreamer(str(path)).stream(4, ["arr_0"]))


@pytest.mark.parametrize(
    ("name", "dtype", "shape"),
    [("R", "f4", (3,)), ("arr_0", "f4", (3,)), ("arr_0", "i4", (3, 4, 3)), ("arr_0", "f4", (3, 4))],
)
def test_validate(name: str, dtype: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        NumpyArrayInfo(name, np.dtype(dtype), shape).validate()
