"""The embedded joint model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enpointe.evaluation.encoders import ENCODERS, EncoderChoice, ImageTextEncoder

if TYPE_CHECKING:
    import torch


class Joint(EncoderChoice):
    """Always at hand."""

    preference = 1

    def is_at_hand(self) -> bool:
        return True

    def load(self, device: torch.device) -> ImageTextEncoder:
        from enpointe.checkpoints.embedded import load_joint
        from enpointe.evaluation.encoders._joint import JointEncoder

        return JointEncoder(load_joint(device))


ENCODERS.register("joint")(Joint())
