"""The modules that compute a space's parts: one file a family of blocks."""

from stnas.supernet.blocks import macro  # noqa: F401 it registers its blocks
from stnas.supernet.blocks.block import MakeNorm, ResidualBlock, build
from stnas.supernet.blocks.bottleneck import LinearBottleneck

__all__ = ["LinearBottleneck", "MakeNorm", "ResidualBlock", "build"]
