"""Layers that the hyper-network and the networks cut out of it are made of."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from stnas.ops.reference import ACTIVATIONS, BatchNorm, BottleneckWeights
from stnas.space import Edge, Operation, SearchSpace

BlockFunction = Callable[..., Tensor]
"""A form of the choice block with the signature of ``ops.reference.linear_bottleneck``."""


def norm(channels: int, *, affine: bool, tracked: bool) -> nn.BatchNorm2d:
    """Make a BN layer; ``tracked``: with running statistics to evaluate with."""
    return nn.BatchNorm2d(channels, affine=affine, track_running_stats=tracked)


def advance_(layer: nn.BatchNorm2d) -> tuple[BatchNorm, bool, float]:
    """Return a BN layer's tensors, whether it uses the batch's statistics, and its momentum.

    Counts the batch where the layer tracks statistics, as ``nn.BatchNorm2d`` does: momentum None
    is the cumulative average, a factor of 1/n for the n-th batch.
    """
    tensors = BatchNorm(layer.weight, layer.bias, layer.running_mean, layer.running_var)
    from_batch = layer.training or layer.running_mean is None
    momentum = layer.momentum
    if layer.training and layer.num_batches_tracked is not None:
        layer.num_batches_tracked.add_(1)
        if momentum is None:
            momentum = 1.0 / int(layer.num_batches_tracked)
    return tensors, from_batch, momentum or 0.0


class ConvNormAct(nn.Module):
    """Convolution without bias, BN, activation: the stem and the tail."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel: int,
        stride: int,
        activation: str,
        **norm_options: Any,
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(
            in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False
        )
        self.norm = norm(out_channels, **norm_options)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C_in, H, W]`` to ``[N, C_out, ceil(H / stride), ceil(W / stride)]``."""
        return ACTIVATIONS[self.activation](self.norm(self.convolution(x)))


class LinearBottleneck(nn.Module):
    """One choice block: an SE linear bottleneck of an edge.

    The layers only hold the tensors; the arithmetic is ``function``'s.
    """

    def __init__(
        self,
        space: SearchSpace,
        edge: Edge,
        operation: Operation,
        *,
        function: BlockFunction,
        **norm_options: Any,
    ) -> None:
        super().__init__()
        hidden = space.hidden_channels(edge, operation)
        squeezed = space.se_width(edge)
        kernel = operation.kernel
        self.expand = nn.Conv2d(edge.in_channels, hidden, 1, bias=False)
        self.expand_norm = norm(hidden, **norm_options)
        self.depthwise = nn.Conv2d(
            hidden, hidden, kernel, edge.stride, kernel // 2, groups=hidden, bias=False
        )
        self.depthwise_norm = norm(hidden, **norm_options)
        self.squeeze = nn.Linear(hidden, squeezed)
        self.excite = nn.Linear(squeezed, hidden)
        self.project = nn.Conv2d(hidden, edge.out_channels, 1, bias=False)
        self.project_norm = norm(edge.out_channels, **norm_options)
        self.function = function
        self.options = {
            "stride": edge.stride,
            "activation": space.spec.activation,
            "residual": edge.residual,
        }

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C_in, H, W]`` to ``[N, C_out, ceil(H / stride), ceil(W / stride)]``."""
        weights = BottleneckWeights(
            self.expand.weight,
            self.depthwise.weight,
            self.squeeze.weight,
            self.squeeze.bias,
            self.excite.weight,
            self.excite.bias,
            self.project.weight,
        )
        layers = (self.expand_norm, self.depthwise_norm, self.project_norm)
        norms, training, momenta = zip(*(advance_(layer) for layer in layers), strict=True)
        return self.function(
            x, weights, norms, training=training[0], momentum=momenta[0], **self.options
        )


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
        total = values[0]
        for value in values[1:]:
            total = total + value
        if self.mean and len(values) > 1:
            total = total / len(values)
        return self.shadow[str(len(values))](total) if self.shadow else total


class Tail(nn.Module):
    """1x1 convolution, BN, activation, global average pool, dropout and linear classifier."""

    def __init__(self, space: SearchSpace, **norm_options: Any) -> None:
        super().__init__()
        spec = space.spec
        self.features = ConvNormAct(
            spec.widths[-1],
            spec.tail_width,
            kernel=1,
            stride=1,
            activation=spec.activation,
            **norm_options,
        )
        self.dropout = nn.Dropout(spec.dropout)
        self.classifier = nn.Linear(spec.tail_width, spec.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map the last node ``[N, C, H, W]`` to logits ``[N, classes]``."""
        pooled = self.features(x).mean((2, 3))
        logits: Tensor = self.classifier(self.dropout(pooled))
        return logits


def make_stem(space: SearchSpace, **norm_options: Any) -> ConvNormAct:
    """Make the stem convolution, whose result is v1."""
    spec = space.spec
    return ConvNormAct(
        spec.in_channels,
        spec.widths[0],
        kernel=3,
        stride=spec.stem_stride,
        activation=spec.activation,
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


def track_statistics_(module: nn.Module) -> None:
    """Give every BN layer running statistics, reset: mean 0, variance 1, no batch counted."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            device = next(module.parameters()).device
            layer.track_running_stats = True
            layer.running_mean = torch.zeros(layer.num_features, device=device)
            layer.running_var = torch.ones(layer.num_features, device=device)
            layer.num_batches_tracked = torch.zeros((), dtype=torch.long, device=device)


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
