"""What a metric is: what it needs, what it keeps of every sample, and the scores that it makes of that."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal, TypeVar

from enpointe.evaluation.blocks import Block
from enpointe.evaluation.classifiers import Classifier
from enpointe.evaluation.encoders import ImageTextEncoder
from enpointe.evaluation.observation import Observation, Observed
from enpointe.evaluation.score import Quantity, Row, Score
from enpointe.evaluation.settings import Settings
from enpointe.render.renderers import Renderer

Need = Literal["reference", "meshes", "prompts", "classifier", "encoder", "renderer"]
"""What a metric cannot do without: reference clouds, a sample with a mesh, one whose prompt is known, or a tool."""

T = TypeVar("T")


class NotMeasured(Exception):  # noqa: N818 - an answer, not a fault
    """A metric has no score of this run; the message is the reason."""


@dataclass(frozen=True)
class Tools:
    """What the metrics of a run share. A tool that none of them needs is None.

    Attributes:
        settings: of the run.
        ceilings: whether metrics also score the reference, as what could be reached.
    """

    settings: Settings
    classifier: Classifier | None = None
    encoder: ImageTextEncoder | None = None
    renderer: Renderer | None = None
    ceilings: bool = True

    def about(self) -> dict[str, dict[str, Any]]:
        """What a report states about each."""
        about: dict[str, dict[str, Any]] = {}
        if self.classifier is not None:
            about["classifier"] = {**self.classifier.about(), "dtype": self.settings.feature_dtype}
        if self.encoder is not None:
            about["encoder"] = self.encoder.about()
        if self.renderer is not None:
            about["renderer"] = {
                "name": self.renderer.name, "note": self.renderer.note,
                "renders": asdict(self.settings.render_config()), "images_of": self.settings.images_of,
            }  # fmt: skip
        return about


@dataclass
class Run:
    """What the metrics of a run score, and where their findings go.

    Attributes:
        samples, reference: what is known of them.
        texts: different prompts that a sample's own has to be found among.
        rows: of the samples; metrics put values of single samples there, under the names of their `values`.
        ceiling: scores of the reference.
        context: what a metric adds to the results, under its name.
    """

    samples: Observed
    reference: Observed | None
    texts: Sequence[str] = ()
    rows: list[Row] = field(default_factory=list)
    ceiling: list[Score] = field(default_factory=list)
    context: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Badge:
    """A word on a sample's card; `tone` is "good", "bad" or empty."""

    text: str
    tone: Literal["good", "bad", ""] = ""


class Metric(ABC):
    """A metric in one run: it observes every sample once, in their order, then scores.

    Subclasses live in modules of `metrics`, registered under the module's name. Settings, report, JSON and command
    line follow from what they declare:

    Attributes:
        needs: what must be there; `score` is called only where it is.
        scores: what it measures of a run.
        values: what it measures of single samples.
        section: the heading of the report under which its scores stand; "" for the first lines of it.
        order: where it stands among the others: the lowest first.
        reference_clouds: how many generated reference clouds it wants, at least, where a run brings none.
    """

    needs: ClassVar[frozenset[Need]] = frozenset()
    scores: ClassVar[tuple[Quantity, ...]]
    values: ClassVar[tuple[Quantity, ...]] = ()
    section: ClassVar[str] = ""
    order: ClassVar[int] = 1000
    reference_clouds: ClassVar[int] = 0

    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self.seed = tools.settings.seed

    def observe(self, sample: Observation) -> None:  # noqa: B027 - some need only what is known of the set
        """Keeps what `score` needs of one of the samples, in memory that does not grow without bound."""

    def observe_reference(self, sample: Observation) -> None:  # noqa: B027
        """The same of one of the reference, which comes before the samples."""

    @abstractmethod
    def score(self, run: Run) -> list[Score]:
        """The scores of `scores`.

        Raises:
            NotMeasured: there are none, though what it needs is there.
        """

    @classmethod
    def badges(cls, row: Row) -> list[Badge]:
        """Words on a sample's card."""
        return []

    @classmethod
    def blocks(cls, results: Mapping[str, Any]) -> list[Block | None]:
        """Further parts of the report, from the results as JSON holds them."""
        return []


def given(value: T | None) -> T:
    """What is there because a metric needs it."""
    assert value is not None
    return value
