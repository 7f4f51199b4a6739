"""The moving average of a network that is trained alone: its weights and its BN statistics."""

import torch
from torch import Tensor

from stnas.learn.moving_average import MovingAverage
from stnas.supernet import Network


class NetworkAverage:
    """Averages the floating point tensors of a network over the steps of its training."""

    def __init__(self, network: Network, decay: float) -> None:
        named = network.state_dict().items()
        self.tensors = {name: own for name, own in named if own.is_floating_point()}
        self.sums = MovingAverage(self.tensors, decay)

    def include_(self, steps: int) -> None:
        """Let the average include what the tensors are after so many steps."""
        self.sums.include_(steps, range(len(self.tensors)))

    def take_(self, steps: int) -> dict[str, Tensor]:
        """Put the average over so many steps into the network; return what it replaces."""
        before = {name: own.clone() for name, own in self.tensors.items()}
        self.put_(self.sums.average(steps))
        return before

    @torch.no_grad()
    def put_(self, values: dict[str, Tensor]) -> None:
        """Put values into the network."""
        for name, value in values.items():
            self.tensors[name].copy_(value)
