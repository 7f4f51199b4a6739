"""What a way of training the shared weights is: the loop over batches asks for nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from torch import Tensor, nn

from stnas.learn.moving_average import MovingAverage
from stnas.learn.readings import Number
from stnas.learn.task import Task


class Strategy(Protocol):
    """A way of training a hyper-network, whose state is explicit, so that a run can stop and go on.

    task: with the images that its batches are taken of. averages: of the weights, kept besides.
    A strategy that needs more than the batch (held-out images, architecture parameters) makes it
    from the task and the step, and keeps what it moves in ``state``.
    """

    task: Task
    averages: Sequence[MovingAverage]

    @property
    def supernet(self) -> nn.Module:
        """Return the module that is trained."""
        ...

    def update_(self, images: Tensor, labels: Tensor, step: int) -> tuple[Number, Number]:
        """Take a step on this process's part of a batch; return the whole's (loss, accuracy).

        A function of (seed, step, state). Raises FloatingPointError, before anything moves, where
        the loss is not finite. Where it does not wait for a GPU the numbers are tensors, which the
        loop reads later.
        """
        ...

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, for the log."""
        ...

    def weights(self) -> Mapping[str, Tensor]:
        """Return the weights of the hyper-network of single paths, which later stages read."""
        ...

    def numbers(self) -> Mapping[str, float]:
        """Return further numbers of an epoch, for the log."""
        ...

    def remarks(self) -> list[str]:
        """Return lines to tell after an epoch."""
        ...

    def state(self) -> Mapping[str, Tensor]:
        """Return the tensors that training goes on from."""
        ...

    def load_(self, tensors: dict[str, Tensor], file: Path) -> None:
        """Go on from a state that a file held."""
        ...
