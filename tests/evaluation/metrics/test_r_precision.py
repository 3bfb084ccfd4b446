"""R-Precision of observed samples, through an encoder of colors."""

from __future__ import annotations

import numpy as np
import pytest

from enpointe.evaluation.metric import Badge, NotMeasured, Tools
from enpointe.evaluation.metrics import r_precision as module
from enpointe.evaluation.metrics.r_precision import ClipRPrecision
from enpointe.evaluation.samples.sample import Sample
from enpointe.evaluation.settings import Settings
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from evaluation.fakes import ColorEncoder, MeanRenderer
from evaluation.metrics.scoring import Scored

RED, GREEN, PINK = (1.0, 0.1, 0.1), (0.1, 0.7, 0.2), (1.0, 0.5, 0.7)
TRIANGLE = Mesh(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]]))


def sample(prompt: str | None, color: tuple[float, float, float], n: int = 10, mesh: Mesh | None = None) -> Sample:
    points = np.random.default_rng(n).random((n, 3), np.float32)
    return Sample(prompt or "-", PointCloud(points, np.full((n, 3), color, np.float32)), prompt, mesh=mesh)


def tools(settings: Settings | None = None, *, ceilings: bool = True) -> Tools:
    return Tools(settings or Settings(), encoder=ColorEncoder(), renderer=MeanRenderer(), ceilings=ceilings)


def test_samples_are_found_by_their_colors() -> None:
    ours = [sample("a red car", RED), sample("a green mug", PINK), sample(None, RED)]
    found = Scored(ClipRPrecision, ours, tools=tools(), texts=["a red car", "a green mug", "a pink dog"])
    scores = {score.name: score for score in found.scores}
    assert scores["r_precision"].value == 0.5
    assert scores["r_precision_at_5"].value == 1
    assert scores["clip_score"].title == "Text match"
    assert "among 3 prompts; by chance 33.3%" in scores["r_precision"].what
    right, wrong, unknown = found.run.rows
    assert (right["rank"], right["r_at_1"]) == (1, 1)
    assert wrong["rival"] == "a pink dog"
    assert "rank" not in unknown
    assert ClipRPrecision.badges(right) == [Badge("rank 1", "good")]
    assert ClipRPrecision.badges(wrong)[1] == Badge("closer to: a pink dog", "bad")
    assert ClipRPrecision.badges(unknown) == []
    assert "'joint'" in found.run.context["r_precision"]["why_not"]


def test_the_reference_is_the_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = [sample("a red car", PINK), sample("a green mug", PINK)], [sample("a red car", RED)] * 3
    texts = ["a red car", "a green mug"]
    assert Scored(ClipRPrecision, ours, theirs, tools(), texts).run.ceiling[0].value == 1
    assert Scored(ClipRPrecision, ours, theirs, tools(ceilings=False), texts).run.ceiling == []
    one_wrong = [*theirs, sample("a green mug", RED)]
    assert Scored(ClipRPrecision, ours, one_wrong, tools(), texts).run.ceiling[0].value == 0.75
    monkeypatch.setattr(module, "CEILING", 3)
    assert Scored(ClipRPrecision, ours, one_wrong, tools(), texts).run.ceiling[0].value == 1


def test_images_of_meshes() -> None:
    ours = [sample("a red car", RED, mesh=TRIANGLE), sample("a green mug", GREEN)]
    found = Scored(ClipRPrecision, ours, tools=tools(Settings(images_of="mesh")), texts=["a pink dog"])
    assert found.run.rows[0]["rival"] == "a pink dog"  # the mesh is rendered in pink
    assert found.run.rows[1]["rank"] == 1


def test_a_shape_that_the_renderer_fails_at_is_a_failure() -> None:
    ours = [sample("a red car", RED, n=MeanRenderer.fails_at), sample("a green mug", GREEN)]
    found = Scored(ClipRPrecision, ours, tools=tools(), texts=["a red car"])
    assert ["rank" in row for row in found.run.rows] == [False, True]
    assert [(one.name, one.reason) for one in found.failures] == [("a red car", "no images of it: Blender stalled")]


def test_why_there_is_none() -> None:
    with pytest.raises(NotMeasured, match="all samples are of one prompt"):
        Scored(ClipRPrecision, [sample("a red car", RED)] * 2, tools=tools())
    with pytest.raises(NotMeasured, match="no image could be rendered"):
        Scored(ClipRPrecision, [sample("a red car", RED, n=MeanRenderer.fails_at)], tools=tools())
