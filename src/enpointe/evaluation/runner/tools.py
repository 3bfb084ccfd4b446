"""The networks and the renderer that the metrics of a run need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from enpointe.core.errors import EnpointeError, WeightsError
from enpointe.evaluation.choice import AUTO
from enpointe.evaluation.classifiers import load_classifier
from enpointe.evaluation.encoders import load_encoder
from enpointe.evaluation.metric import Metric, Need, Tools
from enpointe.evaluation.settings import Settings
from enpointe.render.renderers import RENDERERS, Renderer


def load_tools(
    metrics: Mapping[str, type[Metric]], settings: Settings, *, ceilings: bool
) -> tuple[Tools, dict[Need, str]]:
    """Loads what the metrics need, each once.

    Returns:
        The tools, and why others cannot be had where the choice was left open.

    Raises:
        InputError, WeightsError: a network that was chosen by name cannot be had.
        DeviceError: there is no Blender that can be used.
    """
    missing: dict[Need, str] = {}

    def needed(need: Need) -> bool:
        return any(need in metric.needs and not metric.needs & missing.keys() for metric in metrics.values())

    found: dict[str, Any] = {}
    if needed("classifier"):
        try:
            found["classifier"] = load_classifier(settings.classifier, device=settings.device)
        except WeightsError as error:
            if settings.classifier != AUTO:
                raise
            missing["classifier"] = f"no classifier: {error}"
    if needed("encoder"):
        try:
            found["encoder"] = load_encoder(settings.encoder, settings.device)
        except EnpointeError as error:
            if settings.encoder != AUTO:
                raise
            missing["encoder"] = f"no encoder of texts and images: {error}"
    if needed("renderer"):
        found["renderer"] = open_renderer(settings)
    return Tools(settings, **found, ceilings=ceilings), missing


def open_renderer(settings: Settings) -> Renderer:
    """The renderer of the settings.

    Raises:
        InputError: a renderer that there is not, or a number of views.
        DeviceError: what it needs is not there, such as Blender.
    """
    return RENDERERS[settings.renderer].for_images(settings.render_config().views)
