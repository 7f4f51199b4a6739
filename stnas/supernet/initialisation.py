"""The weights that training starts from."""

from typing import Any

from torch import nn

from stnas.config.train import Initialisation

STEM = 0.01
"""Standard deviation of the first convolution and of the classifier, as in the authors' code."""


def initialise_(network: Any, kind: Initialisation) -> None:
    """Draw the weights of a hyper-network or a network, from torch's global generator.

    torch: what PyTorch's layers have drawn stays. normal: N(0, 0.01) for the first convolution and
    the classifier, N(0, 1 / C_in) for the others with the input channels of a group, so 1 for
    depthwise ones (the code of Guo et al. 2020; deviations, not variances). kaiming: He et al.
    2015, by the outputs. BN makes a network a function of the weights' directions alone, so the
    deviation sets how far a step turns them. Biases are 0 with the last two.
    """
    if kind == "torch":
        return
    first = network.stem.convolution
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            if kind == "kaiming":
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            else:
                spread = STEM if layer is first else 1.0 / layer.weight.shape[1]
                nn.init.normal_(layer.weight, 0.0, spread)
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0.0, STEM)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
