"""The release's PointNet++ classifier, around enpointe's; the same state-dict keys."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from enpointe.nn.pointnet2 import PointNet2


class get_model(PointNet2):  # noqa: N801 - the release's name
    """The network. The released checkpoint is of num_class 40, normal_channel False, width_mult 2.

    A cloud's farthest-point sampling starts at its place in the batch, in training anywhere, as in the release.
    """

    def __init__(self, num_class: int, normal_channel: bool = True, width_mult: int = 1) -> None:
        super().__init__(classes=num_class, width=width_mult, channels=3 if normal_channel else 0)
        self.normal_channel = normal_channel
        self.width_mult = width_mult

    # The release's call and result.
    def forward(self, xyz: Tensor, features: bool = False) -> tuple[Tensor, ...]:  # type: ignore[override]
        """Clouds (B, 3 or with normals 6, N) -> log probabilities (B, num_class), pooled (B, c, 1), and features."""
        batch, _, n_points = xyz.shape
        start = torch.randint(n_points, (batch,)) if self.training else torch.arange(batch)
        out = super().forward(xyz, start.to(xyz.device))
        found = out.log_probs, out.pooled[..., None]
        return (*found, out.features) if features else found


class get_loss(nn.Module):  # noqa: N801 - the release's name
    """The classifier's loss."""

    def forward(self, pred: Tensor, target: Tensor, trans_feat: Tensor) -> Tensor:
        """Mean negative log likelihood of log probabilities (B, classes) and classes (B,); trans_feat is not used."""
        _ = trans_feat
        return F.nll_loss(pred, target)
