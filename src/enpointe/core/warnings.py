"""Warnings of the package: something that a user asked for is lost or left out."""

from __future__ import annotations


class EnpointeWarning(UserWarning):
    """Base of every warning that enpointe gives; the command line prints each as a line on stderr."""


class PromptWarning(EnpointeWarning):
    """A prompt asks for something that the model does not know, or is too long for it."""


class LostDataWarning(EnpointeWarning):
    """A file lacks something that was expected of it, such as colors, or has no place for it, such as channels."""
