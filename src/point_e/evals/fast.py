"""The release's classifier as enpointe's, which does the layers of its neighborhoods' repeated points once."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from enpointe.checkpoints.structure import Unfilled
from enpointe.nn.pointnet2 import PointNet2
from point_e._originals import Parts

from . import pointnet2_cls_ssg, pointnet2_utils
from .pointnet2_cls_ssg import get_model
from .pointnet2_utils import PointNetSetAbstraction

PARTS = Parts(
    get_model,
    PointNetSetAbstraction,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.Conv2d,
    nn.Dropout,
    nn.Linear,
    nn.ModuleList,
    eps=1e-5,
    stride=(1, 1),
    padding=(0, 0),
)
MODULES = (pointnet2_utils, pointnet2_cls_ssg)


def as_enpointe(model: nn.Module) -> PointNet2 | None:
    """enpointe's network with the model's own weights, not copied.

    None where a call of the model may be anything else than an evaluation of that network: in training, for a
    subclass, or where something has been replaced, added or hooked, in the model or in the modules that define it.
    """
    if type(model) is not get_model or model.training or not PARTS.make_up(model):
        return None
    if not all(module.ORIGINALS.are_in_place() for module in MODULES):
        return None
    one, two, all_ = model.sa1, model.sa2, model.sa3
    if one.group_all or two.group_all or not all_.group_all:
        return None
    samples, radii, neighbors = (one.npoint, two.npoint), (one.radius, two.radius), (one.nsample, two.nsample)
    if None in (*samples, *radii, *neighbors):
        return None
    with torch.device("meta"), Unfilled():
        network = PointNet2(
            classes=model.fc3.out_features,
            width=model.width_mult,
            channels=3 if model.normal_channel else 0,
            samples=cast(tuple[int, int], samples),
            radii=cast(tuple[float, float], radii),
            neighbours=cast(tuple[int, int], neighbors),
        )
    tensors = {name: tensor.detach() for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    if {name: tensor.shape for name, tensor in tensors.items()} != shapes:
        return None
    network.load_state_dict(tensors, assign=True)
    return network.requires_grad_(False).eval()
