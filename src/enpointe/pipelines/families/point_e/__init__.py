"""The models of the public Point-E release (arXiv 2212.08751, sections 4 and 5)."""

from __future__ import annotations

from enpointe.checkpoints.registry import Input, ModelSpec, ReleasedFile, register_model

_PRESETS = ("fast", "reference")


def _generator(name: str, file: str, parameters: int, takes: str, *inputs: Input) -> None:
    register_model(
        ModelSpec(
            name,
            f"{takes} -> up to 65,536 points and a mesh",
            pipeline="enpointe.pipelines.families.point_e.pipeline:PointEPipeline",
            inputs=inputs,
            stages=("base", "upsample", "sdf"),
            presets=_PRESETS,
            released=ReleasedFile(file, parameters),
        )
    )


_generator("base40M-textvec", "base_40m_textvec.pt", 40_333_836, "a text's CLIP vector", "text")
_generator("base40M-imagevec", "base_40m_imagevec.pt", 40_333_836, "an image's CLIP vector", "image")
_generator("base40M", "base_40m.pt", 40_466_956, "an image's CLIP grid", "image")
_generator("base300M", "base_300m.pt", 311_778_316, "an image's CLIP grid", "image")
_generator("base1B", "base_1b.pt", 1_244_311_564, "an image's CLIP grid", "image")
_generator("base40M-uncond", "base_40m_uncond.pt", 39_940_108, "nothing")

register_model(
    ModelSpec(
        "upsample",
        "1,024 points and an image's CLIP grid -> 4,096 points",
        released=ReleasedFile("upsample_40m.pt", 40_470_552),
    )
)
register_model(
    ModelSpec("sdf", "4,096 points -> signed distances, for a mesh", released=ReleasedFile("sdf.pt", 9_481_985))
)
register_model(
    ModelSpec(
        "pointnet",
        "a cloud -> classes and features, for P-FID and P-IS",
        released=ReleasedFile("pointnet.pt", 5_872_819, nested=True),
    )
)
