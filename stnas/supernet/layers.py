"""Stem, tail and merges of the hyper-network and of the networks cut out of it."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Proxy
from torch.nn import functional

from stnas.config import Kernels
from stnas.ops import conv_norm_act, pool
from stnas.ops.layers import reference
from stnas.ops.layers.norm_act import norm_act
from stnas.ops.layers.reference import ACTIVATIONS, BatchNorm, batch_norm
from stnas.space import Node, SearchSpace
from stnas.supernet.as_built import AsBuilt, agree, is_plain
from stnas.supernet.blocks.block import MakeNorm
from stnas.supernet.norms import Bound, with_own_statistics


class ConvNormAct(nn.Module):
    """Convolution without bias, BN and activation: the stem and the tail."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel: int,
        stride: int,
        activation: str,
        kernels: Kernels,
        norm: MakeNorm,
    ) -> None:
        super().__init__()
        self.compiled = kernels == "fused"
        self.convolution = nn.Conv2d(
            in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False
        )
        self.norm = norm(out_channels)
        self.activation = activation
        self.built = AsBuilt(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C_in, H, W]`` to ``[N, C_out, ceil(H / stride), ceil(W / stride)]``."""
        if self.compiled and is_plain(x) and self.built.holds(self) and agree(self.norms()):
            return with_own_statistics(self.bind(), self.norms(), x)
        return ACTIVATIONS[self.activation](self.norm(self.convolution(x)))

    def norms(self) -> tuple[nn.BatchNorm2d, ...]:
        """List the BN layers, in order."""
        return (self.norm,)

    def bind(self) -> Bound:
        """Return the layer as a function of x and the state of its BN layers."""

        def compute(x: Tensor, *, norms: tuple[BatchNorm, ...], **state: Any) -> Tensor:
            state["activation"] = self.activation
            if not self.compiled:
                return reference.norm_act(self.convolution(x), norms[0], **state)
            weight, stride = self.convolution.weight, self.convolution.stride[0]
            return conv_norm_act(x, weight, norms[0], stride=stride, **state)

        return compute


class NormAct(nn.Module):
    """BN and activation: a tail without a convolution."""

    def __init__(self, channels: int, *, activation: str, kernels: Kernels, norm: MakeNorm) -> None:
        super().__init__()
        self.compiled = kernels == "fused"
        self.norm = norm(channels)
        self.activation = activation
        self.built = AsBuilt(self)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise and activate ``[N, C, H, W]``."""
        if self.compiled and is_plain(x) and self.built.holds(self) and agree(self.norms()):
            return with_own_statistics(self.bind(), self.norms(), x)
        return ACTIVATIONS[self.activation](self.norm(x))

    def norms(self) -> tuple[nn.BatchNorm2d, ...]:
        """List the BN layer."""
        return (self.norm,)

    def bind(self) -> Bound:
        """Return the layer as a function of x and the state of its BN layer."""
        function = norm_act if self.compiled else reference.norm_act

        def compute(x: Tensor, *, norms: tuple[BatchNorm, ...], **state: Any) -> Tensor:
            return function(x, norms[0], activation=self.activation, **state)

        return compute


class Merge(nn.Module):
    """Value of a node: the sum of the arcs that enter it, their mean, or the sum's own BN.

    degrees: numbers of entering arcs, for each of which a node that joins by ``shadow`` has a BN.
    """

    def __init__(self, node: Node, *, degrees: Iterable[int], norm: MakeNorm) -> None:
        super().__init__()
        self.mean, self.beside = node.join == "mean", node.join == "concat"
        shadows = degrees if node.join == "shadow" else ()
        self.shadow = nn.ModuleDict({str(n): norm(node.width) for n in shadows})

    def keep_(self, degree: int) -> "Merge":
        """Drop the shadow BN layers of every other number of entering arcs."""
        for other in set(self.shadow) - {str(degree)}:
            del self.shadow[other]
        return self

    def forward(self, values: list[Tensor]) -> Tensor:
        """Merge tensors ``[N, C, H, W]``, one or more, in the order of their arcs."""
        total = self._joined(values)
        for own in self.norms(len(values)):
            total = own(total)
        return total

    def norms(self, degree: int) -> tuple[nn.BatchNorm2d, ...]:
        """List the BN layers that a node with this number of entering arcs uses."""
        shadow = self.shadow[str(degree)] if self.shadow else None
        return (shadow,) if isinstance(shadow, nn.BatchNorm2d) else ()

    def bind(self, degree: int) -> Bound:
        """Return the merge of so many values as a function of them and the BN layers' state."""

        def compute(*values: Tensor, norms: tuple[BatchNorm, ...], **state: Any) -> Tensor:
            total = self._joined(values)
            for own in norms:
                total = batch_norm(total, own, **state)
            return total

        return compute

    def _joined(self, values: Sequence[Tensor]) -> Tensor:
        if self.beside:
            return torch.cat(list(values), 1)
        total = values[0]
        for value in values[1:]:
            total = total + value
        return total / len(values) if self.mean and len(values) > 1 else total


class Tail(nn.Module):
    """Features, global average pool, dropout and linear classifier."""

    def __init__(self, space: SearchSpace, *, kernels: Kernels, norm: MakeNorm) -> None:
        super().__init__()
        head = space.head
        self.features = make_features(space, kernels=kernels, norm=norm)
        self.compiled = kernels == "fused"
        self.dropout = nn.Dropout(head.dropout)
        self.classifier = nn.Linear(head.tail_width, head.num_classes, bias=head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map the last node ``[N, C, H, W]`` to logits ``[N, classes]``."""
        logits: Tensor = self.classifier(self.dropout(self.pooled(self.features(x))))
        return logits

    def pooled(self, features: Tensor) -> Tensor:
        """Return the mean over the pixels ``[N, C]``."""
        return pool(features) if self.compiled and is_plain(features) else features.mean((2, 3))


class NoFeatures(nn.Module):
    """The last node as it is."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x."""
        return x

    def norms(self) -> tuple[nn.BatchNorm2d, ...]:
        """List no BN layer."""
        return ()

    def bind(self) -> Bound:
        """Return the identity as a function of x and of no BN layer's state."""
        return lambda x, **_: x


class PooledStem(ConvNormAct):
    """Convolution without bias, BN, activation, and 3x3 max pooling with stride 2."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C_in, H, W]`` to half of the convolution's pixels a side, rounded up."""
        return functional.max_pool2d(super().forward(x), 3, 2, 1)

    def bind(self) -> Bound:
        """Return the layer as a function of x and the state of its BN layers."""
        inner = super().bind()
        return lambda x, **state: functional.max_pool2d(inner(x, **state), 3, 2, 1)


Features = ConvNormAct | NormAct | NoFeatures


def make_features(space: SearchSpace, *, kernels: Kernels, norm: MakeNorm) -> Features:
    """Make what stands before the pool: 1x1 convolution, BN, activation, the last two, or none."""
    head = space.head
    if head.features == "none":
        return NoFeatures()
    if head.features == "norm":
        return NormAct(head.tail_width, activation=head.activation, kernels=kernels, norm=norm)
    return ConvNormAct(
        space.nodes[-1].width,
        head.tail_width,
        kernel=1,
        stride=1,
        activation=head.activation,
        kernels=kernels,
        norm=norm,
    )


def make_stem(space: SearchSpace, *, kernels: Kernels, norm: MakeNorm) -> ConvNormAct:
    """Make the stem, whose result is v1; not 3x3 or without activation in plain PyTorch."""
    head = space.head
    plain = head.stem_activation == "identity" or head.stem_kernel != 3
    return (PooledStem if head.stem_pool else ConvNormAct)(
        head.in_channels,
        space.nodes[0].width,
        kernel=head.stem_kernel,
        stride=head.stem_stride,
        activation=head.stem_activation or head.activation,
        kernels="reference" if plain else kernels,
        norm=norm,
    )


def channels_last_(module: nn.Module) -> None:
    """Lay the weights of 1x1 and depthwise convolutions out channels last, as the images are.

    They are contiguous all the same; ``contiguous`` would give 1x1 kernels the strides by which
    torch chooses another algorithm.
    """
    for parameter in module.parameters():
        if parameter.ndim == 4 and 1 in (parameter.shape[1], parameter.shape[2:].numel()):
            laid = torch.empty_like(parameter.data, memory_format=torch.channels_last)
            parameter.data = laid.copy_(parameter.data)


def check_images(x: Tensor, channels: int | None) -> None:
    """Raise unless x is a batch of images ``[N, channels, H, W]`` of floating point.

    channels: None if any number is right. Where x is traced, its sizes are not known yet.
    """
    if torch.compiler.is_compiling() or torch._C._get_tracing_state() or isinstance(x, Proxy):
        return
    if not isinstance(x, Tensor) or not torch.is_floating_point(x):
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"x must be a floating-point tensor of images, got {kind}")
    if x.ndim != 4 or channels not in (None, x.shape[1]) or x.numel() == 0:
        raise ValueError(
            f"x must have the shape [N, {channels or 'C'}, H, W] with one image or more, "
            f"got {list(x.shape)}"
        )
