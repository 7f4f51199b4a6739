"""The modules that compute a space's parts: one file a family of blocks."""

from stnas.supernet.blocks import (  # noqa: F401 they register their blocks
    cells,
    hand_made,
    macro,
    partial,
    quant,
    spos,
)
from stnas.supernet.blocks.block import MakeNorm, ResidualBlock, build
from stnas.supernet.blocks.bottleneck import LinearBottleneck, has_gpu_kernels

__all__ = ["LinearBottleneck", "MakeNorm", "ResidualBlock", "build", "has_gpu_kernels"]
