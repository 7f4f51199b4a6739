"""Residual blocks with quantised weights and activations, in plain PyTorch."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stnas.config import Kernels
from stnas.ops.quantisation import dorefa, pact
from stnas.space.quant import QuantBlock
from stnas.supernet.blocks.block import MakeNorm, build

FLOAT = -1
"""The form in which nothing is quantised."""
BOUND = 6.0
"""What activations are clipped at, at first."""


class QuantisedBlock(nn.Module):
    """A basic block whose convolutions all have the bits of the form, or none in ``FLOAT``.

    One float tensor a convolution serves all bits. The activations that a convolution reads have a
    bound of their own for each number of bits, which only a pass with these bits moves. It has four
    axes, so that it decays as the weights do.
    """

    def __init__(self, part: QuantBlock, norm: MakeNorm) -> None:
        super().__init__()
        before, width, stride = part.in_channels, part.out_channels, part.stride
        self.bits = part.bits
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.norm1 = norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = norm(width)
        names = ["conv1", "conv2"]
        if part.projects:
            self.shortcut = nn.Conv2d(before, width, 1, stride, bias=False)
            self.shortcut_norm = norm(width)
            names.append("shortcut")
        self.projects = part.projects
        self.bounds = nn.ParameterDict(
            {
                f"{name}_a{bits}": nn.Parameter(torch.full((1, 1, 1, 1), BOUND))
                for name in names
                for bits in sorted({activations for _, activations in part.bits})
            }
        )

    def forward(self, x: Tensor, option: int = 0) -> Tensor:
        """Map ``[N, C_in, H, W]`` to ``[N, C_out, ceil(H / stride), ceil(W / stride)]``."""
        inner = self.norm1(self.convolved("conv1", x, option))
        made = self.norm2(self.convolved("conv2", inner, option))
        if self.projects:
            x = self.shortcut_norm(self.convolved("shortcut", x, option))
        out: Tensor = (made + x).relu()
        return out

    def convolved(self, name: str, x: Tensor, option: int) -> Tensor:
        """Clip and quantise what a convolution reads, and its weights, and convolve."""
        layer: Any = getattr(self, name)
        weight = layer.weight
        if option == FLOAT:
            x = x.relu()
        else:
            of_weights, of_x = self.bits[option if len(self.bits) > 1 else 0]
            x = pact(x, self.bounds[f"{name}_a{of_x}"], of_x)
            weight = dorefa(weight, of_weights)
        return functional.conv2d(x, weight, None, layer.stride, layer.padding)


@build.register
def quantised_block(part: QuantBlock, *, kernels: Kernels, norm: MakeNorm) -> QuantisedBlock:
    """Make the block of a part; torch's operators compute it, whatever the kernels."""
    return QuantisedBlock(part, norm)
