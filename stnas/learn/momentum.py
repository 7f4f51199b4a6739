"""Momentum of the shared weights: what a step does not move keeps its velocity, too."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from stnas.ops.slices import WHOLE, Slice, cut


class Momentum:
    """Velocities of parameters: ``v <- mu v + g + weight_decay w``, then ``w <- w - lr v``.

    Without Nesterov's look ahead. Tensors of one dimension (biases, the affine parameters of BN) do
    not decay. A tensor that a step does not name keeps its velocity byte for byte, and so does what
    lies outside the slice of one that is named with a slice. factor: mu.
    """

    prefix = "momentum."
    """What the names of the velocities begin with in a state."""

    def __init__(
        self, parameters: Mapping[str, Tensor], factor: float, *, weight_decay: float
    ) -> None:
        self.factor, self.weight_decay = factor, weight_decay
        self.names, self.weights = list(parameters), list(parameters.values())
        self.velocities = [torch.zeros_like(weight) for weight in self.weights]

    @torch.no_grad()
    def advance_(
        self, ids: Sequence[int], grads: Sequence[Tensor], slices: Mapping[int, Slice] = WHOLE
    ) -> list[Tensor]:
        """Take the gradients of some parameters in, and return their velocities.

        ids: numbers of the parameters. grads: theirs, in the same order. slices: by the number of
        a parameter, the part of it that moves and that its gradient is of; the result has views.
        """
        moved = [cut(self.velocities[i], slices.get(i)) for i in ids]
        if not moved:
            return moved
        torch._foreach_mul_(moved, self.factor)
        torch._foreach_add_(moved, list(grads))
        decayed = [i for i in ids if self.weights[i].ndim > 1]
        if decayed and self.weight_decay:
            torch._foreach_add_(
                [cut(self.velocities[i], slices.get(i)) for i in decayed],
                [cut(self.weights[i], slices.get(i)) for i in decayed],
                alpha=self.weight_decay,
            )
        return moved

    def state(self) -> dict[str, Tensor]:
        """Return the velocities by the names of their parameters, to go on from."""
        named = zip(self.names, self.velocities, strict=True)
        return {f"{self.prefix}{name}": value for name, value in named}

    def load_(self, tensors: dict[str, Tensor]) -> None:
        """Take what ``state`` returned out of the tensors of a saved state."""
        for name, value in zip(self.names, self.velocities, strict=True):
            value.copy_(tensors.pop(f"{self.prefix}{name}"))
