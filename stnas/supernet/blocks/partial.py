"""Operations that get a part of the channels, in plain PyTorch."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from stnas.config import Kernels
from stnas.space.cells.partial import Partial
from stnas.supernet.blocks.block import MakeNorm, build


class PartialBlock(nn.Module):
    """``scale shuffle([operation(x[:C / K]), x[C / K:]])``; at stride 2 what passes by is pooled.

    scale: the weight of the block's edge among those that enter its node.
    """

    scale: Tensor

    def __init__(self, part: Partial, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.parts, self.stride = inner, part.parts, part.stride
        self.register_buffer("scale", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C, H, W]`` to ``[N, C, ceil(H / stride), ceil(W / stride)]``."""
        width = x.shape[1] // self.parts
        own, around = x[:, :width], x[:, width:]
        if self.stride == 2:
            around = halved(around)
        return self.scale * side_by_side(self.inner(own), around, self.parts)


def halved(x: Tensor) -> Tensor:
    """Return the maximum over windows of 2x2 at stride 2; the last of odd sides are narrower."""
    return functional.max_pool2d(x, 2, 2, ceil_mode=True)


def side_by_side(own: Tensor, around: Tensor, parts: int) -> Tensor:
    """Join channels and shuffle them, so that channel ``p C / K + c`` comes to ``c K + p``.

    parts: K. own: the first ``C / K``. The result is in channels_last order.
    """
    groups = [group.permute(0, 2, 3, 1) for group in (own, *around.chunk(parts - 1, 1))]
    return torch.stack(groups, -1).flatten(3).permute(0, 3, 1, 2)


@build.register
def partial(part: Partial, *, kernels: Kernels, norm: MakeNorm) -> PartialBlock:
    """Make an operation on a part of the channels."""
    inner = part.inner
    made = nn.Identity() if inner is None else build(inner, kernels=kernels, norm=norm)
    return PartialBlock(part, made)
