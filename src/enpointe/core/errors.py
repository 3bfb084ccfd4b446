"""Errors that a user can cause, each saying what was expected and what came."""

from __future__ import annotations


class EnpointeError(Exception):
    """Base of every error that enpointe raises on purpose; the command line turns it into exit code 2."""


class InputError(EnpointeError, ValueError):
    """An argument, prompt or file is not what it should be."""


class WeightsError(EnpointeError):
    """Weights are missing, damaged, or belong to another network."""


class DeviceError(EnpointeError):
    """A requested device that this machine does not have."""


class RenderError(EnpointeError):
    """A renderer failed at an asset: it crashed, stalled or took too much memory. Other assets are not affected."""


class TrainingError(EnpointeError):
    """A training cannot go on; what it last saved is whole, and it can be resumed from there."""


class MeshError(EnpointeError):
    """A signed-distance field has no usable surface."""


class OutputError(EnpointeError, OSError):
    """A result could not be written; nothing half-written was left behind."""
