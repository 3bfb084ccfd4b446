"""Hidden matrices: those between one layer's activations and the next one's, which optimizers such as Muon are for."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import nn


@runtime_checkable
class HasHiddenMatrices(Protocol):
    """A module that declares which of its matrices are hidden; embeddings and output layers are not."""

    def hidden_matrices(self) -> list[nn.Parameter]:
        """Its hidden matrices, each with two dimensions, in the order of its parameters."""
        ...


def hidden_matrices(network: nn.Module) -> list[nn.Parameter]:
    """The hidden matrices that a network's modules declare; none where no module does."""
    declaring = [module for module in network.modules() if isinstance(module, HasHiddenMatrices)]
    return [matrix for module in declaring for matrix in module.hidden_matrices()]
