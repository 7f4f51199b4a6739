"""Blocks: the modules of a space's parts, and how a part becomes one."""

from collections.abc import Callable
from functools import singledispatch
from typing import Any

from torch import Tensor, nn

from stnas.config import Kernels

MakeNorm = Callable[[int], nn.BatchNorm2d]
"""Makes the BN layer of a number of channels, as the network that it is for wants it."""


@singledispatch
def build(part: Any, *, kernels: Kernels, norm: MakeNorm) -> nn.Module:
    """Make the block of a part, by the part's type: ``build.register`` adds one.

    kernels: ``fused`` for compiled operators, ``reference`` for plain PyTorch; a block that knows
    one form alone ignores it. norm: makes its BN layers. Weights are drawn from torch's global
    generator. The block maps ``[N, C_in, H, W]`` to ``[N, C_out, ceil(H / stride), ...]``. Any
    module will do; one with several forms takes ``forward(x, option)``, and one that has
    ``norms(option)`` says itself which BN layers a form uses.
    """
    raise TypeError(
        f"parts must be of a type that a block is registered for, got {type(part).__name__}: "
        "register a function that makes its block with @stnas.build.register"
    )


class ResidualBlock(nn.Sequential):
    """Modules one after the other, and what went in added."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply the modules in order and add x."""
        value: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return value + x


def apply(block: nn.Module, x: Tensor, option: int) -> Tensor:
    """Compute a form of a block."""
    value: Tensor = block(x, option) if option else block(x)
    return value


def norms_of(block: Any, option: int) -> tuple[nn.BatchNorm2d, ...]:
    """List the BN layers that a form of a block uses: what it says, or all that are in it."""
    norms = getattr(block, "norms", None)
    if norms is not None:
        found: tuple[nn.BatchNorm2d, ...] = norms(option)
        return found
    return tuple(layer for layer in block.modules() if isinstance(layer, nn.BatchNorm2d))
