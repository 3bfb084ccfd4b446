"""The release's PointNet++ classifier, module by module under its names."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from point_e._originals import Originals

from .pointnet2_utils import PointNetSetAbstraction


class get_model(nn.Module):  # noqa: N801 - the release's name
    """The network. The released checkpoint is of num_class 40, normal_channel False, width_mult 2.

    A cloud's farthest-point sampling starts at its place in the batch, in training anywhere, as in the release.
    """

    def __init__(self, num_class: int, normal_channel: bool = True, width_mult: int = 1) -> None:
        super().__init__()
        self.width_mult = width_mult
        self.normal_channel = normal_channel
        c64, c128, c256, c512, c1024 = (size * width_mult for size in (64, 128, 256, 512, 1024))
        channels = 6 if normal_channel else 3
        self.sa1 = PointNetSetAbstraction(
            npoint=512, radius=0.2, nsample=32, in_channel=channels, mlp=[c64, c64, c128], group_all=False
        )
        self.sa2 = PointNetSetAbstraction(
            npoint=128, radius=0.4, nsample=64, in_channel=c128 + 3, mlp=[c128, c128, c256], group_all=False
        )
        self.sa3 = PointNetSetAbstraction(
            npoint=None, radius=None, nsample=None, in_channel=c256 + 3, mlp=[c256, c512, c1024], group_all=True
        )
        self.fc1 = nn.Linear(c1024, c512)
        self.bn1 = nn.BatchNorm1d(c512)
        self.drop1 = nn.Dropout(0.4)
        self.fc2 = nn.Linear(c512, c256)
        self.bn2 = nn.BatchNorm1d(c256)
        self.drop2 = nn.Dropout(0.4)
        self.fc3 = nn.Linear(c256, num_class)

    def forward(self, xyz: Tensor, features: bool = False) -> tuple[Tensor, ...]:
        """Clouds (B, 3 or with normals 6, N) -> log probabilities (B, num_class), pooled (B, c, 1), and features."""
        normals = xyz[:, 3:] if self.normal_channel else None
        places, values = self.sa1(xyz[:, :3] if self.normal_channel else xyz, normals)
        places, values = self.sa2(places, values)
        _, pooled = self.sa3(places, values)
        h = self.drop1(F.relu(self.bn1(self.fc1(pooled.flatten(1)))))
        found = self.bn2(self.fc2(h))
        log_probs = F.log_softmax(self.fc3(self.drop2(F.relu(found))), dim=-1)
        return (log_probs, pooled, found) if features else (log_probs, pooled)


class get_loss(nn.Module):  # noqa: N801 - the release's name
    """The classifier's loss."""

    def forward(self, pred: Tensor, target: Tensor, trans_feat: Tensor) -> Tensor:
        """Mean negative log likelihood of log probabilities (B, classes) and classes (B,); trans_feat is not used."""
        _ = trans_feat
        return F.nll_loss(pred, target)


ORIGINALS = Originals(globals())
