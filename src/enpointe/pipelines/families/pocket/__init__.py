"""The family that comes with the package: small, offline, for a few kinds of things."""

from __future__ import annotations

from enpointe.checkpoints.registry import ModelSpec, register_model
from enpointe.pipelines.families.pocket.things import embedded_things

register_model(
    ModelSpec(
        "pocket",
        "a text -> up to 65,536 points and a mesh",
        pipeline="enpointe.pipelines.families.pocket.pipeline:PocketPipeline",
        inputs=("text",),
        stages=("base", "layout", "detail", "up", "sdf"),
        files=tuple(f"pocket-{member}.safetensors" for member in ("base", "layout", "detail", "up", "sdf")),
        nouns=tuple(thing.names for thing in embedded_things()),
    )
)
register_model(
    ModelSpec(
        "pocket-classifier",
        "a cloud -> one of 96 categories and features, for P-FID and P-IS",
        files=("pocket-classifier.safetensors",),
    )
)
register_model(
    ModelSpec(
        "pocket-joint",
        "texts and images -> one space, for R-Precision",
        files=("pocket-joint.safetensors", "efficientnet-lite0.safetensors"),
    )
)
