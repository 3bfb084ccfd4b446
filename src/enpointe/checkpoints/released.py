"""The released models by name: which network, and which process it was trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from enpointe.checkpoints.adapters import IMAGE
from enpointe.diffusion.channels import ChannelScaling
from enpointe.diffusion.schedule import DiscreteProcess
from enpointe.nn.point_transformer import PointTransformerConfig
from enpointe.nn.pointnet2 import PointNet2Config
from enpointe.nn.sdf import SDFConfig

CLIP_WIDTH = 768
"""Width of CLIP ViT-L/14's image and text vectors."""
CLIP_CHANNELS = 1024
"""Channels of its 16 x 16 latent grid."""
_COSINE, _LINEAR = DiscreteProcess("cosine", 1024), DiscreteProcess("linear", 1024)
_WORLD = ChannelScaling()


@dataclass(frozen=True)
class ReleasedModel:
    """A released point-cloud model (arXiv 2212.08751, section 4.1 and appendix A).

    Attributes:
        config: of its network.
        n_points: how many points it draws at once; the upsampler's come on top of the coarse ones.
        process: of its training.
        scaling: from world units to the network's.
    """

    config: PointTransformerConfig
    n_points: int = 1024
    process: DiscreteProcess = _COSINE
    scaling: ChannelScaling = _WORLD


_40M = PointTransformerConfig(width=512, layers=12, heads=8)
_300M = PointTransformerConfig(width=1024, layers=24, heads=16)
_1B = PointTransformerConfig(width=2048, layers=24, heads=32)
_VECTOR = replace(_40M, vector=CLIP_WIDTH, vector_as_token=True)
_GRID = ((IMAGE, CLIP_CHANNELS),)

RELEASED: dict[str, ReleasedModel] = {
    "base40M-imagevec": ReleasedModel(_VECTOR),
    "base40M-textvec": ReleasedModel(_VECTOR),
    "base40M-uncond": ReleasedModel(_40M),
    "base40M": ReleasedModel(replace(_40M, grids=_GRID)),
    "base300M": ReleasedModel(replace(_300M, grids=_GRID)),
    "base1B": ReleasedModel(replace(_1B, grids=_GRID)),
    "upsample": ReleasedModel(
        replace(_40M, grids=_GRID, low_res=True, channel_scales=_WORLD.scales, channel_biases=_WORLD.biases),
        n_points=3072,
        process=_LINEAR,
    ),
}

RELEASED_SDF = SDFConfig(width=256, encoder_layers=8, encoder_heads=4, decoder_layers=4, decoder_heads=4)
"""The released "sdf" model: a cloud of 4,096 points in, signed distances out (section 4.4)."""

RELEASED_POINTNET = PointNet2Config(classes=40, width=2)
"""The released "pointnet": ModelNet40's classes, for P-FID and P-IS (section 5.1)."""
