"""In which number format a run computes."""

from __future__ import annotations

import torch


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Products in that format; the weights stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)
