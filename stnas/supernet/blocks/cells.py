"""The operations of cells."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stnas.config import Kernels
from stnas.ops.layers.reference import BatchNorm
from stnas.ops.mixture.halving import halving_block
from stnas.ops.separable.half import relu_dw_pw_bn
from stnas.ops.separable.reference import NO_NORM, Term
from stnas.space.cells.darts_parts import Fitted, Halved, Pool, Separable
from stnas.space.cells.parts import Average, Convolve, Halve, Zero
from stnas.supernet.as_built import (
    AsBuilt,
    agree,
    are_plain,
    have_kernels,
    is_plain,
    takes_batch,
)
from stnas.supernet.blocks.block import MakeNorm, build
from stnas.supernet.norms import advance_


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


class SeparableHalves(nn.Sequential):
    """ReLU, depthwise convolution, 1x1 convolution, BN, once or twice.

    Where it is ``compiled`` and BN takes the statistics of the batch, an operator computes each
    half, as long as these are the layers that were built and the pass is one of plain numbers.
    """

    def __init__(self, layers: Sequence[nn.Module], *, kernels: Kernels) -> None:
        super().__init__(*layers)
        self.compiled = kernels == "fused"
        self.built = AsBuilt(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C, H, W]`` to ``[N, C, ceil(H / stride), ceil(W / stride)]``."""
        layers: list[Any] = list(self._modules.values())
        halves = [layers[i + 1 : i + 4] for i in range(0, len(layers), 4)]
        if self.compiled and is_plain(x) and self.built.holds(self) and have_operators(x, halves):
            for depth, point, norm in halves:
                own, _, momentum = advance_(norm)
                term = Term(x, depth.weight, depth.stride[0], depth.dilation[0])
                x = relu_dw_pw_bn([term], point.weight, own, momentum=momentum)
            return x
        found: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return found


def have_operators(x: Tensor, parts: Sequence[Sequence[Any]]) -> bool:
    """Tell whether operators may stand in for convolutions and a BN each, the last of a part."""
    norms = [own[-1] for own in parts]
    weights = [layer._parameters["weight"] for own in parts for layer in own]
    weights += [own._parameters["bias"] for own in norms]
    return (
        agree(norms)
        and takes_batch(norms[0])
        and are_plain(own for own in weights if own is not None)
        and all(have_kernels(x, convolution.weight, own) for convolution, *_, own in parts)
    )


@build.register
def separable(part: Separable, *, kernels: Kernels, norm: MakeNorm) -> SeparableHalves:
    """Make ReLU, depthwise, 1x1, BN, once or twice."""
    layers: list[nn.Module] = []
    for number in range(part.times):
        width, stride = part.channels, part.stride if number == 0 else 1
        rim = part.dilation * (part.kernel // 2)
        options: dict[str, Any] = {"groups": width, "bias": False}
        depth = nn.Conv2d(width, width, part.kernel, stride, rim, part.dilation, **options)
        layers += [nn.ReLU(), depth, nn.Conv2d(width, width, 1, bias=False), norm(width)]
    return SeparableHalves(layers, kernels=kernels)


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

    def convolutions(self) -> tuple[nn.Conv2d, nn.Conv2d]:
        """Return the two convolutions."""
        return self.first, self.second

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

    Where it is ``compiled`` and BN takes the statistics of the batch, operators compute it, as long
    as these are the layers that were built and the pass is one of plain numbers.
    """

    def __init__(self, layers: Sequence[nn.Module], *, kernels: Kernels) -> None:
        super().__init__(*layers)
        self.compiled = kernels == "fused"
        own = self[1]
        self.built = [(module, AsBuilt(module)) for module in (self, own) if len(module._modules)]

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C, H, W]`` to ``[N, D, H, W]``, or ``[N, D, ceil(H / 2), ceil(W / 2)]``."""
        if self.compiled and is_plain(x) and all(b.holds(m) for m, b in self.built):
            _, weights, norm = layers = list[Any](self._modules.values())
            halves = isinstance(weights, Halves)
            convolutions = weights.convolutions() if halves else layers[1:2]
            if have_operators(x, [(own, norm) for own in convolutions]):
                own, _, momentum = advance_(norm)
                if halves:
                    return relu_halves_bn(x, weights, own, momentum=momentum)
                return relu_dw_pw_bn([Term(x, None)], weights.weight, own, momentum=momentum)
        found: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return found


def relu_halves_bn(
    x: Tensor,
    halves: Halves,
    norm: BatchNorm = NO_NORM,
    *,
    scale: Tensor | None = None,
    momentum: float = 0.0,
) -> Tensor:
    """Compute ``scale BN(halves(ReLU(x)))``, each half by one operator, as BN goes by channels."""
    weights = [own.weight for own in halves.convolutions()]
    sizes = [len(own) for own in weights]
    parts = [(None, None) if own is None else own.split_with_sizes(sizes) for own in norm]
    found = [
        relu_dw_pw_bn(
            [Term(x, None, stride=2, shift=shift)], weight, BatchNorm(*own),
            scale=scale, momentum=momentum,
        )
        for shift, (weight, *own) in enumerate(zip(weights, *parts, strict=True))
    ]  # fmt: skip
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
