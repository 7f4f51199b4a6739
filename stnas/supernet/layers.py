"""Stem, tail and merges of the hyper-network and of the networks cut out of it."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from stnas.config import Kernels
from stnas.ops import conv_norm_act, convolution, norm_act, pool
from stnas.ops.layers import reference
from stnas.ops.layers.reference import BatchNorm, batch_norm
from stnas.space import Node, SearchSpace
from stnas.supernet.blocks.block import MakeNorm
from stnas.supernet.norms import Bound, with_own_statistics


class Convolution(nn.Conv2d):
    """A convolution without bias that ``ops.convolution`` computes."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C_in, H, W]`` to ``[N, C_out, ceil(H / stride), ceil(W / stride)]``."""
        return convolution(x, self.weight, stride=self.stride[0])


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
        form = Convolution if self.compiled else nn.Conv2d
        self.convolution = form(
            in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False
        )
        self.norm = norm(out_channels)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C_in, H, W]`` to ``[N, C_out, ceil(H / stride), ceil(W / stride)]``."""
        return with_own_statistics(self.bind(), self.norms(), x)

    def norms(self) -> tuple[nn.BatchNorm2d, ...]:
        """List the BN layers, in order."""
        return (self.norm,)

    def bind(self) -> Bound:
        """Return the layer as a function of x and the state of its BN layers."""
        behind = norm_act if self.compiled else reference.norm_act

        def compute(
            x: Tensor, *, norms: tuple[BatchNorm, ...], training: bool, momentum: float
        ) -> Tensor:
            state: dict[str, Any] = {"activation": self.activation, "momentum": momentum}
            if training and self.compiled:
                weight, stride = self.convolution.weight, self.convolution.stride[0]
                return conv_norm_act(x, weight, norms[0], stride=stride, training=True, **state)
            return behind(self.convolution(x), norms[0], training=training, **state)

        return compute


class Merge(nn.Module):
    """Value of a node: the sum of the arcs that enter it, their mean, or the sum's own BN.

    degrees: numbers of entering arcs, for each of which a node that joins by ``shadow`` has a BN.
    """

    def __init__(self, node: Node, *, degrees: Iterable[int], norm: MakeNorm) -> None:
        super().__init__()
        self.mean = node.join == "mean"
        shadows = degrees if node.join == "shadow" else ()
        self.shadow = nn.ModuleDict({str(n): norm(node.width) for n in shadows})

    def keep_(self, degree: int) -> "Merge":
        """Drop the shadow BN layers of every other number of entering arcs."""
        for other in set(self.shadow) - {str(degree)}:
            del self.shadow[other]
        return self

    def forward(self, values: list[Tensor]) -> Tensor:
        """Merge tensors ``[N, C, H, W]``, one or more, in the order of their arcs."""
        return with_own_statistics(self.bind(len(values)), self.norms(len(values)), *values)

    def norms(self, degree: int) -> tuple[nn.BatchNorm2d, ...]:
        """List the BN layers that a node with this number of entering arcs uses."""
        shadow = self.shadow[str(degree)] if self.shadow else None
        return (shadow,) if isinstance(shadow, nn.BatchNorm2d) else ()

    def bind(self, degree: int) -> Bound:
        """Return the merge of so many values as a function of them and the BN layers' state."""
        scale = degree if self.mean else 1

        def compute(
            *values: Tensor, norms: tuple[BatchNorm, ...], training: bool, momentum: float
        ) -> Tensor:
            total = values[0]
            for value in values[1:]:
                total = total + value
            if scale > 1:
                total = total / scale
            for own in norms:
                total = batch_norm(total, own, training=training, momentum=momentum)
            return total

        return compute


class Tail(nn.Module):
    """1x1 convolution, BN, activation, global average pool, dropout and linear classifier."""

    def __init__(self, space: SearchSpace, *, kernels: Kernels, norm: MakeNorm) -> None:
        super().__init__()
        head = space.head
        self.features = ConvNormAct(
            space.nodes[-1].width,
            head.tail_width,
            kernel=1,
            stride=1,
            activation=head.activation,
            kernels=kernels,
            norm=norm,
        )
        self.compiled = kernels == "fused"
        self.dropout = nn.Dropout(head.dropout)
        self.classifier = nn.Linear(head.tail_width, head.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map the last node ``[N, C, H, W]`` to logits ``[N, classes]``."""
        logits: Tensor = self.classifier(self.dropout(self.pooled(self.features(x))))
        return logits

    def pooled(self, features: Tensor) -> Tensor:
        """Return the mean over the pixels ``[N, C]``."""
        return pool(features) if self.compiled else features.mean((2, 3))


def make_stem(space: SearchSpace, *, kernels: Kernels, norm: MakeNorm) -> ConvNormAct:
    """Make the stem convolution, whose result is v1."""
    head = space.head
    return ConvNormAct(
        head.in_channels,
        space.nodes[0].width,
        kernel=3,
        stride=head.stem_stride,
        activation=head.activation,
        kernels=kernels,
        norm=norm,
    )


def channels_last_(module: nn.Module) -> None:
    """Lay the weights of convolutions out channels last, as the images are.

    ``contiguous`` would keep the strides of 1x1 kernels, by which torch chooses its algorithm.
    """
    for parameter in module.parameters():
        if parameter.ndim == 4:
            laid = torch.empty_like(parameter.data, memory_format=torch.channels_last)
            parameter.data = laid.copy_(parameter.data)


def check_images(x: Tensor, space: SearchSpace) -> None:
    """Raise unless x is a batch of images ``[N, in_channels, H, W]`` of floating point."""
    if not isinstance(x, Tensor) or not torch.is_floating_point(x):
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"x must be a floating-point tensor of images, got {kind}")
    channels = space.head.in_channels
    if x.ndim != 4 or x.shape[1] != channels or x.numel() == 0:
        raise ValueError(
            f"x must have the shape [N, {channels}, H, W] with one image or more, "
            f"got {list(x.shape)}"
        )
