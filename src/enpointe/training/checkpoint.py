"""A run's state on disk: written whole or not at all, read without unpickling objects."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from enpointe.core.errors import OutputError, WeightsError
from enpointe.training.ema import EMA


def save_checkpoint(
    path: Path,
    network: nn.Module,
    ema: EMA,
    optimizers: Sequence[torch.optim.Optimizer],
    run_state: dict[str, Any],
    feeds: Sequence[dict[str, Any]],
) -> None:
    """Write all that a resumed run needs; the former checkpoint stays until the new one is whole.

    Args:
        feeds: where the feed of each process stands.

    Raises:
        OutputError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.part")  # what a killed run left of it, the next one overwrites
    try:
        torch.save(
            {
                "network": network.state_dict(),
                "ema": ema.averages,
                "ema_updates": ema.updates,
                "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                "run_state": run_state,
                "feeds": list(feeds),
            },
            temporary,
        )
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:  # RuntimeError: PyTorch's writer on a full disk
        raise OutputError(f"{path}: expected to write a checkpoint, found {error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """What `save_checkpoint` wrote, its tensors on the device, for `restore`.

    Raises:
        WeightsError: absent, damaged, or something else.
    """
    try:
        saved = torch.load(path, map_location=device, weights_only=True)
        if not isinstance(saved, dict) or not isinstance(saved.get("run_state"), dict):
            raise ValueError("something else")
    except Exception as error:
        raise WeightsError(f"{path}: expected a checkpoint of this recipe, found {error!r}") from error
    return saved


def restore(
    saved: dict[str, Any], path: Path, network: nn.Module, ema: EMA, optimizers: Sequence[torch.optim.Optimizer]
) -> None:
    """Put a checkpoint back.

    Raises:
        WeightsError: it is of another network, optimizer or averages.
    """
    try:
        network.load_state_dict(saved["network"])
        ema.load(saved["ema"], saved["ema_updates"])
        for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
    except Exception as error:
        raise WeightsError(f"{path}: expected a checkpoint of this recipe, found {error!r}") from error
