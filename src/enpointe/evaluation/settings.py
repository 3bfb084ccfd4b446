"""The choices that a user has in scoring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from enpointe.render.software.perspective import RenderConfig

Shape = Literal["cloud", "mesh"]
FeatureType = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Settings:
    """Choices that decide about the numbers.

    Attributes:
        classifier, encoder: "auto", or names in `CLASSIFIERS` and `ENCODERS`.
        renderer: a name in `RENDERERS`.
        device: where networks compute.
        feature_dtype: of the classifier's wide layers.
        seed: of choices and intervals.
        views: images of each sample for R-Precision; None for the usual number.
        images_of: what they show, the cloud or, where a sample has one, the mesh.
        papers_prompts: the user states that the prompts are those of the published R-Precision.
    """

    classifier: str = "auto"
    encoder: str = "auto"
    renderer: str = "software"
    device: str = "cpu"
    feature_dtype: FeatureType = "float32"
    seed: int = 0
    views: int | None = None
    images_of: Shape = "cloud"
    papers_prompts: bool = False

    def render_config(self) -> RenderConfig:
        """How samples are rendered for R-Precision; InputError for a number of views out of range."""
        from enpointe.render.software.perspective import RenderConfig

        return RenderConfig() if self.views is None else RenderConfig(views=self.views)
