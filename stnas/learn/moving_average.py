"""Exponential moving averages of the shared weights over the steps of training."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


class MovingAverage:
    """Average ``(1 - d) / (1 - d^T) sum_t d^(T - t) w_t`` of parameters over T steps.

    Only the tensors that a step moves cost anything: n steps with the same w take the running sum
    ``e_t = d e_(t-1) + (1 - d) w_t`` to ``w + d^n (e - w)``, which is made up for before w moves.
    decay: d. seen: the number of steps that each tensor's sum includes.
    """

    def __init__(self, parameters: Mapping[str, Tensor], decay: float) -> None:
        self.decay = decay
        self.names, self.weights = list(parameters), list(parameters.values())
        self.sums = [torch.zeros_like(weight) for weight in self.weights]
        self.seen = [0] * len(self.weights)

    @torch.no_grad()
    def include_(self, steps: int, ids: Sequence[int]) -> None:
        """Let the sums of some tensors include their present values, up to so many steps."""
        sums, weights = [self.sums[i] for i in ids], [self.weights[i] for i in ids]
        torch._foreach_lerp_(sums, weights, [1 - self.decay ** (steps - self.seen[i]) for i in ids])
        for i in ids:
            self.seen[i] = steps

    def average(self, steps: int) -> dict[str, Tensor]:
        """Return the average of every parameter over so many steps, by its name."""
        self.include_(steps, range(len(self.weights)))
        share = 1 - self.decay**steps
        return {name: value / share for name, value in zip(self.names, self.sums, strict=True)}

    @property
    def prefix(self) -> str:
        """Return what the names of this average's tensors begin with in a state."""
        return f"ema-{self.decay}."

    def state(self) -> dict[str, Tensor]:
        """Return the sums and how far they are, to go on from."""
        named = zip(self.names, self.sums, strict=True)
        sums = {f"{self.prefix}{name}": value for name, value in named}
        return {**sums, f"{self.prefix}seen": torch.tensor(self.seen)}

    def load_(self, tensors: dict[str, Tensor]) -> None:
        """Take what ``state`` returned out of the tensors of a saved state."""
        self.seen = tensors.pop(f"{self.prefix}seen").tolist()
        for name, value in zip(self.names, self.sums, strict=True):
            value.copy_(tensors.pop(f"{self.prefix}{name}"))
