"""Stem, tail and merges of the hyper-network and of the networks cut out of it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from stnas.ops import conv_norm_act, convolution, norm_act, pool
from stnas.ops.layers.reference import BatchNorm, batch_norm
from stnas.space import SearchSpace
from stnas.supernet.norms import Bound, norm, with_own_statistics

NormAct = Callable[..., Tensor]
"""A form of BN and activation with the signature of ``ops.layers.reference.norm_act``."""


class Convolution(nn.Conv2d):
    """A convolution without bias that ``ops.convolution`` computes."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C_in, H, W]`` to ``[N, C_out, ceil(H / stride), ceil(W / stride)]``."""
        return convolution(x, self.weight, stride=self.stride[0])


class ConvNormAct(nn.Module):
    """Convolution without bias, then ``function``, BN and activation: the stem and the tail."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel: int,
        stride: int,
        activation: str,
        function: NormAct,
        **norm_options: Any,
    ) -> None:
        super().__init__()
        form = Convolution if function is norm_act else nn.Conv2d
        self.convolution = form(
            in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False
        )
        self.norm = norm(out_channels, **norm_options)
        self.activation = activation
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C_in, H, W]`` to ``[N, C_out, ceil(H / stride), ceil(W / stride)]``."""
        return with_own_statistics(self.bind(), self.norms, x)

    @property
    def norms(self) -> tuple[nn.BatchNorm2d, ...]:
        """The BN layers, in order."""
        return (self.norm,)

    def bind(self) -> Bound:
        """Return the layer as a function of x and the state of its BN layers."""

        def compute(
            x: Tensor, *, norms: tuple[BatchNorm, ...], training: bool, momentum: float
        ) -> Tensor:
            state: dict[str, Any] = {"activation": self.activation, "momentum": momentum}
            if training and self.function is norm_act:
                weight, stride = self.convolution.weight, self.convolution.stride[0]
                return conv_norm_act(x, weight, norms[0], stride=stride, training=True, **state)
            return self.function(self.convolution(x), norms[0], training=training, **state)

        return compute


class Merge(nn.Module):
    """Value of a node: the sum of the edges that enter it, their mean, or the sum's own BN.

    merge: ``sum``, ``mean`` or ``shadow``, a BN for each number of entering edges in ``degrees``.
    """

    def __init__(
        self, channels: int, *, merge: str, degrees: tuple[int, ...], **norm_options: Any
    ) -> None:
        super().__init__()
        self.mean = merge == "mean"
        shadows = degrees if merge == "shadow" else ()
        self.shadow = nn.ModuleDict({str(n): norm(channels, **norm_options) for n in shadows})

    def keep_(self, degree: int) -> "Merge":
        """Drop the shadow BN layers of every other number of entering edges."""
        for other in set(self.shadow) - {str(degree)}:
            del self.shadow[other]
        return self

    def forward(self, values: list[Tensor]) -> Tensor:
        """Merge tensors ``[N, C, H, W]``, one or more, in the order of their edges."""
        return with_own_statistics(self.bind(len(values)), self.norms(len(values)), *values)

    def norms(self, degree: int) -> tuple[nn.BatchNorm2d, ...]:
        """List the BN layers that a node with this number of entering edges uses."""
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

    def __init__(self, space: SearchSpace, *, function: NormAct, **norm_options: Any) -> None:
        super().__init__()
        spec = space.spec
        self.features = ConvNormAct(
            spec.widths[-1],
            spec.tail_width,
            kernel=1,
            stride=1,
            activation=spec.activation,
            function=function,
            **norm_options,
        )
        self.compiled = function is norm_act
        self.dropout = nn.Dropout(spec.dropout)
        self.classifier = nn.Linear(spec.tail_width, spec.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map the last node ``[N, C, H, W]`` to logits ``[N, classes]``."""
        logits: Tensor = self.classifier(self.dropout(self.pooled(self.features(x))))
        return logits

    def pooled(self, features: Tensor) -> Tensor:
        """Return the mean over the pixels ``[N, C]``."""
        return pool(features) if self.compiled else features.mean((2, 3))


def make_stem(space: SearchSpace, *, function: NormAct, **norm_options: Any) -> ConvNormAct:
    """Make the stem convolution, whose result is v1."""
    spec = space.spec
    return ConvNormAct(
        spec.in_channels,
        spec.widths[0],
        kernel=3,
        stride=spec.stem_stride,
        activation=spec.activation,
        function=function,
        **norm_options,
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
    channels = space.spec.in_channels
    if x.ndim != 4 or x.shape[1] != channels or x.numel() == 0:
        raise ValueError(
            f"x must have the shape [N, {channels}, H, W] with one image or more, "
            f"got {list(x.shape)}"
        )
