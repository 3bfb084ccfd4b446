"""To add a metric is to add one file: Python, command line, JSON and report know it."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enpointe.cli import main
from enpointe.core.errors import InputError
from enpointe.core.registry import Registry
from enpointe.evaluation import metrics
from enpointe.evaluation.classifiers import CLASSIFIERS
from enpointe.evaluation.encoders import ENCODERS
from enpointe.evaluation.metrics import METRICS, ordered, values
from enpointe.evaluation.runner.runs import evaluate_samples
from enpointe.evaluation.samples.open import open_samples
from enpointe.render.renderers import RENDERERS

HEIGHT = '''
"""How high clouds are."""

import numpy as np

from enpointe.evaluation.blocks import notes
from enpointe.evaluation.metric import Badge, Metric
from enpointe.evaluation.metrics import METRICS
from enpointe.evaluation.score import Quantity


@METRICS.register("height")
class Height(Metric):
    scores = (Quantity("mean_height", "Mean height", "higher"),)
    values = (Quantity("height", "height of a sample", "higher"),)
    section = "Sizes"

    def __init__(self, tools):
        super().__init__(tools)
        self.heights = []

    def observe(self, sample):
        self.heights.append(float(np.ptp(sample.sample.cloud.points[:, 2])))

    def score(self, run):
        for row, height in zip(run.rows, self.heights, strict=True):
            row["height"] = height
        run.context["height"] = max(self.heights)
        return [self.scores[0].mean(self.heights, "mean height of the clouds", self.seed)]

    @classmethod
    def badges(cls, row):
        return [Badge("a tower")] if row.get("height", 0) > 3 else []

    @classmethod
    def blocks(cls, results):
        return [notes("The highest", [f"{results['context']['height']:g} units"])]
'''


@pytest.fixture
def height(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A file `height.py` among the metrics."""
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "height.py").write_text(HEIGHT)
    monkeypatch.setattr(metrics, "__path__", [*metrics.__path__, str(folder)])
    yield
    if "enpointe.evaluation.metrics.height" in sys.modules:
        METRICS.unregister("height")
        del sys.modules["enpointe.evaluation.metrics.height"]
        del metrics.height  # type: ignore[attr-defined]


@pytest.fixture
def clouds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four clouds, 1, 2, 3 and 4 units high."""
    monkeypatch.chdir(tmp_path)
    unit = np.linspace(0, 1, 50, dtype=np.float32)[None, :, None].repeat(3, axis=2)
    np.savez(tmp_path / "clouds.npz", arr_0=unit * np.arange(1, 5, dtype=np.float32)[:, None, None])
    return tmp_path / "clouds.npz"


@pytest.mark.usefixtures("height")
def test_python_knows_a_metric_by_its_file(clouds: Path) -> None:
    assert "height" in METRICS
    assert "enpointe.evaluation.metrics.height" not in sys.modules  # its name is known without it
    results = evaluate_samples(open_samples(str(clouds)), None, metrics=["height"])
    (score,) = results.scores
    assert (score.name, score.section) == ("mean_height", "Sizes")
    assert score.value == pytest.approx(2.5)
    assert [row["height"] for row in results.rows] == pytest.approx([1, 2, 3, 4])
    assert list(ordered())[-1] == "height"
    assert "height" in values()


@pytest.mark.usefixtures("height", "clouds")
def test_the_command_its_json_and_its_report_know_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    assert "height" in capsys.readouterr().out
    command = ["evaluate", "--samples", "clouds.npz", "--metrics", "height", "--json", "--out"]
    assert main([*command, "a"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["mean_height"] == pytest.approx(2.5)
    assert found["scores"][0]["title"] == "Mean height"
    assert found["context"] == {"height": 4}
    kept = json.loads(Path("a/results.json").read_text())
    assert [row["height"] for row in kept["samples"]] == pytest.approx([1, 2, 3, 4])
    report = Path("a/report.html").read_text()
    for words in ("Sizes", "Mean height", "height of a sample", "a tower", "The highest", "4 units"):
        assert words in report
    assert main(["evaluate", "--samples", "clouds.npz", "--metrics", "height", "--out", "b"]) == 0
    assert "Mean height" in capsys.readouterr().out


def test_the_metrics_that_come_with_the_package() -> None:
    assert set(METRICS) == {
        "chamfer", "emd", "f_score", "mesh", "named", "normal_consistency", "p_fid", "p_is", "r_precision",
    }  # fmt: skip
    for name, metric in ordered().items():
        assert importlib.import_module(f"enpointe.evaluation.metrics.{name}").__name__ == metric.__module__


@pytest.mark.parametrize("registry", [METRICS, CLASSIFIERS, ENCODERS, RENDERERS], ids=lambda registry: registry.kind)
def test_the_command_offers_what_is_registered(registry: Registry[Any], capsys: pytest.CaptureFixture[str]) -> None:
    registry.register("another")(object())
    try:
        with pytest.raises(SystemExit):
            main(["evaluate", "--help"])
        shown = capsys.readouterr().out
        assert all(name in shown for name in registry)
        assert "another" in registry
    finally:
        registry.unregister("another")


def test_the_documentation_has_every_score() -> None:
    text = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    table = text[text.index("| metric: scores |") :].split("\n\n")[0]
    for name, metric in ordered().items():
        assert f"`{name}`" in table
        if name != "emd":  # whose scores are named as those of chamfer
            assert all(f"`{score.name}`" in table for score in metric.scores)


def test_without_its_file_a_metric_is_unknown(clouds: Path) -> None:
    with pytest.raises(InputError, match=r"metrics: expected some of chamfer, .*, found height"):
        evaluate_samples(open_samples(str(clouds)), None, metrics=["height"])


def test_scores_and_values_have_names_of_their_own() -> None:
    scores = [one.name for metric in ordered().values() for one in metric.scores]
    assert len(set(scores)) == len(scores)
    assert len(values()) == sum(len(metric.values) for metric in ordered().values())
