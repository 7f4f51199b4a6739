"""The choice blocks of SPOS, in plain PyTorch."""

import torch
from torch import Tensor, nn

from stnas.config import Kernels
from stnas.space.spos import ChoiceBlock, Pass, Shuffle, Xception
from stnas.supernet.blocks.block import MakeNorm, build


class TwoBranches(nn.Module):
    """A choice block: what the working branch makes, behind the other half of the result.

    The even channels pass by where the pixels stay, and the odd ones are worked on: so the halves
    mix from block to block, which is the shuffle. Where the pixels are halved, both branches read
    every channel.
    """

    def __init__(self, part: ChoiceBlock, norm: MakeNorm) -> None:
        super().__init__()
        self.splits = part.splits
        self.proj = branch(part.projection, norm)
        self.main = branch(part.main, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C_in, H, W]`` to ``[N, C_out, ceil(H / stride), ceil(W / stride)]``."""
        if self.splits:
            kept, made = x[:, 0::2], self.main(x[:, 1::2].contiguous(memory_format=FORMAT))
        else:
            kept, made = self.proj(x), self.main(x)
        return torch.cat((kept, made), 1)


FORMAT = torch.channels_last


def branch(passes: tuple[Pass, ...], norm: MakeNorm) -> nn.Sequential:
    """Make a branch: convolution and BN, and ReLU behind those that are not depthwise."""
    layers: list[nn.Module] = []
    for own in passes:
        groups = own.after if own.depthwise else 1
        layers.append(
            nn.Conv2d(
                own.before,
                own.after,
                own.kernel,
                own.stride,
                own.kernel // 2,
                groups=groups,
                bias=False,
            )
        )
        layers.append(norm(own.after))
        if not own.depthwise:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


@build.register(Shuffle)
@build.register(Xception)
def choice_block(part: ChoiceBlock, *, kernels: Kernels, norm: MakeNorm) -> TwoBranches:
    """Make the block of a kind."""
    return TwoBranches(part, norm)
