"""The operations of cells."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stnas.config import Kernels
from stnas.ops.mixture.halving import halving_block
from stnas.ops.separable.half import relu_dw_pw_bn
from stnas.ops.separable.reference import Term
from stnas.space.cells.darts_parts import Fitted, Halved, Pool, Separable
from stnas.space.cells.parts import Average, Convolve, Halve, Zero
from stnas.supernet.as_built import AsBuilt, is_plain
from stnas.supernet.blocks.block import MakeNorm, build


class Zeros(nn.Module):
    """Gives zeros of the shape of what it gets."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C, H, W]`` to zeros."""
        return torch.zeros_like(x)


@build.register
def zero(part: Zero, *, kernels: Kernels, norm: MakeNorm) -> Zeros:
    """Make what gives nothing."""
    return Zeros()


@build.register
def average(part: Average, *, kernels: Kernels, norm: MakeNorm) -> nn.Module:
    """Make the mean over windows of 3x3."""
    return windows("average", part.stride)


@build.register
def convolve(part: Convolve, *, kernels: Kernels, norm: MakeNorm) -> nn.Sequential:
    """Make ReLU, convolution, BN."""
    return nn.Sequential(*convolution(part.in_channels, part.out_channels, part.kernel, 1, norm))


class HalvingBlock(nn.Module):
    """Two convolutions, plus a pooled and projected input.

    Where it is ``compiled`` and BN has neither parameters nor statistics, as in a mixture, an
    operator computes it, as long as these are the layers that were built and the pass is one of
    plain numbers.
    """

    def __init__(self, part: Halve, norm: MakeNorm, *, kernels: Kernels) -> None:
        super().__init__()
        before, after = part.in_channels, part.out_channels
        self.long = nn.Sequential(
            *convolution(before, after, 3, 2, norm), *convolution(after, after, 3, 1, norm)
        )
        self.short = nn.Sequential(
            nn.AvgPool2d(2, 2, ceil_mode=True), nn.Conv2d(before, after, 1, bias=False)
        )
        self.compiled = kernels == "fused"
        self.built = [(own, AsBuilt(own)) for own in (self, self.long, self.short)]

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C, H, W]`` to ``[N, 2C, ceil(H / 2), ceil(W / 2)]``."""
        if self.compiled and is_plain(x) and all(b.holds(m) for m, b in self.built):
            layers = [*self.long, *self.short]
            first, second, shortcut = (own.weight for own in layers if isinstance(own, nn.Conv2d))
            if all(map(is_bare, layers[2:6:3])):
                return halving_block(x, first, second, shortcut)
        long: Tensor = self.long(x) + self.short(x)
        return long


@build.register
def pool(part: Pool, *, kernels: Kernels, norm: MakeNorm) -> nn.Module:
    """Make a pool, with BN where BN keeps no statistics: in the hyper-network."""
    layer = windows(part.kind, part.stride)
    behind = norm(part.channels)
    return layer if behind.track_running_stats else nn.Sequential(layer, behind)


def windows(kind: str, stride: int) -> nn.Module:
    """Make the maximum or the mean over windows of 3x3."""
    if kind == "maximum":
        return nn.MaxPool2d(3, stride, 1)
    return nn.AvgPool2d(3, stride, 1, count_include_pad=False)


@build.register
def separable(part: Separable, *, kernels: Kernels, norm: MakeNorm) -> nn.Sequential:
    """Make ReLU, depthwise, 1x1, BN, once or twice."""
    layers: list[nn.Module] = []
    for number in range(part.times):
        width, stride = part.channels, part.stride if number == 0 else 1
        rim = part.dilation * (part.kernel // 2)
        options: dict[str, Any] = {"groups": width, "bias": False}
        depth = nn.Conv2d(width, width, part.kernel, stride, rim, part.dilation, **options)
        layers += [nn.ReLU(), depth, nn.Conv2d(width, width, 1, bias=False), norm(width)]
    return nn.Sequential(*layers)


@build.register
def fitted(part: Fitted, *, kernels: Kernels, norm: MakeNorm) -> nn.Sequential:
    """Make ReLU, 1x1, BN."""
    layers = convolution(part.in_channels, part.out_channels, 1, 1, norm)
    return ReluPointwiseNorm(layers, kernels=kernels)


class Halves(nn.Module):
    """Two 1x1 convolutions of stride 2, the second one pixel on, side by side."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after // 2, 1, 2, bias=False)
        self.second = nn.Conv2d(before, after - after // 2, 1, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C, H, W]`` to ``[N, D, ceil(H / 2), ceil(W / 2)]``; odd sides are padded."""
        height, width = x.shape[2:]
        x = functional.pad(x, (0, width % 2, 0, height % 2))
        return torch.cat((self.first(x), self.second(x[:, :, 1:, 1:])), 1)


def is_bare(norm: nn.Module) -> bool:
    """Tell whether a BN has neither parameters nor statistics."""
    plain = isinstance(norm, nn.BatchNorm2d)
    return plain and not (norm.affine or norm.track_running_stats)


class ReluPointwiseNorm(nn.Sequential):
    """ReLU, one 1x1 convolution or ``Halves``, BN.

    Where it is ``compiled`` and BN has neither parameters nor statistics, as in a mixture,
    operators compute it, as long as these are the layers that were built and the pass is one of
    plain numbers.
    """

    def __init__(self, layers: Sequence[nn.Module], *, kernels: Kernels) -> None:
        super().__init__(*layers)
        self.compiled = kernels == "fused"
        own = self[1]
        self.built = [(module, AsBuilt(module)) for module in (self, own) if len(module._modules)]

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C, H, W]`` to ``[N, D, H, W]``, or ``[N, D, ceil(H / 2), ceil(W / 2)]``."""
        weights, norm = self[1], self[2]
        if (
            self.compiled
            and is_bare(norm)
            and is_plain(x)
            and all(b.holds(m) for m, b in self.built)
        ):
            if isinstance(weights, Halves):
                return relu_halves_bn(x, weights)
            if isinstance(weights, nn.Conv2d):
                return relu_dw_pw_bn([Term(x, None)], weights.weight)
        found: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return found


def relu_halves_bn(x: Tensor, halves: Halves, *, scale: Tensor | None = None) -> Tensor:
    """Compute ``scale BN(halves(ReLU(x)))``, each half by one operator, as BN goes by channels."""
    weights = halves.first.weight, halves.second.weight
    found = [
        relu_dw_pw_bn([Term(x, None, stride=2, shift=shift)], weight, scale=scale)
        for shift, weight in enumerate(weights)
    ]
    return torch.cat(found, 1)


@build.register
def halved(part: Halved, *, kernels: Kernels, norm: MakeNorm) -> nn.Sequential:
    """Make ReLU, two convolutions side by side, BN."""
    halves = Halves(part.in_channels, part.out_channels)
    return ReluPointwiseNorm((nn.ReLU(), halves, norm(part.out_channels)), kernels=kernels)


@build.register
def halve(part: Halve, *, kernels: Kernels, norm: MakeNorm) -> HalvingBlock:
    """Make the block between two stages."""
    return HalvingBlock(part, norm, kernels=kernels)


def convolution(
    before: int, after: int, kernel: int, stride: int, norm: MakeNorm
) -> tuple[nn.Module, ...]:
    """Make ReLU, convolution, BN."""
    layer = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
    return nn.ReLU(), layer, norm(after)
