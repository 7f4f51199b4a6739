"""Numbers of steps: those that a GPU computes are read later, many at once.

To read one is to wait for it, and a device that is waited for after every step idles meanwhile.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

Number = float | Tensor
"""A number of the processor's, or one that a GPU computes: a tensor without dimensions."""
TOGETHER = 64
"""Steps whose numbers are read at once: a loss that is not finite is noticed so much later."""


class Readings:
    """Loss and accuracy of steps, handed on in their order once they are known.

    known: takes loss and accuracy of a step. blame: makes the error of a step whose loss is not
    finite. loss: the last that is known, for people.
    """

    def __init__(
        self,
        known: Callable[[float, float], None],
        blame: Callable[[int, float], FloatingPointError],
    ) -> None:
        self.known, self.blame, self.loss = known, blame, math.nan
        self._waiting: list[tuple[int, Tensor]] = []

    def add_(self, step: int, loss: Number, accuracy: Number) -> None:
        """Take the numbers of a step."""
        if isinstance(loss, Tensor):
            both = torch.stack((loss.double(), accuracy.double()))  # type: ignore[union-attr]
            self._waiting.append((step, both))
            if len(self._waiting) == TOGETHER:
                self.read_()
        else:
            self._hand_on(step, loss, float(accuracy))

    def read_(self) -> None:
        """Wait for the numbers that are not known yet."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            numbers = torch.stack([both for _, both in waiting]).tolist()
            for (step, _), (loss, accuracy) in zip(waiting, numbers, strict=True):
                self._hand_on(step, loss, accuracy)

    def _hand_on(self, step: int, loss: float, accuracy: float) -> None:
        if not math.isfinite(loss):
            raise self.blame(step, loss)
        self.loss = loss
        self.known(loss, accuracy)
