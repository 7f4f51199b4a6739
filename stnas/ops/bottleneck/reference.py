"""The plain-PyTorch twin of the choice block: its oracle, and what ``--kernels reference`` runs."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from stnas.ops.layers.reference import ACTIVATIONS, BatchNorm, batch_norm


class BottleneckWeights(NamedTuple):
    """Weights of one SE linear bottleneck; M = expand * C_in hidden channels, R = SE width."""

    expand: Tensor
    """1x1 convolution ``[M, C_in, 1, 1]``."""
    depthwise: Tensor
    """Depthwise KxK convolution ``[M, 1, K, K]``."""
    squeeze_weight: Tensor
    """First SE layer ``[R, M]``."""
    squeeze_bias: Tensor
    """Bias of the first SE layer ``[R]``."""
    excite_weight: Tensor
    """Second SE layer ``[M, R]``."""
    excite_bias: Tensor
    """Bias of the second SE layer ``[M]``."""
    project: Tensor
    """1x1 convolution ``[C_out, M, 1, 1]``."""


def linear_bottleneck(
    x: Tensor,
    weights: BottleneckWeights,
    norms: tuple[BatchNorm, BatchNorm, BatchNorm],
    *,
    stride: int,
    activation: str,
    residual: bool,
    training: bool,
    momentum: float = 0.1,
    into: Tensor | None = None,
) -> Tensor:
    """Apply one choice block: ``BN(project(SE(act(BN(depthwise(act(BN(expand(x))))))))) [+ x]``.

    x: ``[N, C_in, H, W]``; the result is ``[N, C_out, ceil(H / stride), ceil(W / stride)]``.
    SE multiplies each channel by ``sigmoid(excite relu(squeeze mean_HW))``. norms: the BN layers
    after expand, depthwise and project. into: add the result to this tensor in place. Source: spec
    of the linear bottleneck (MobileNetV2, Sandler et al. 2018, section 3) with
    squeeze-and-excitation (Hu et al. 2018, section 3).
    """
    act = ACTIVATIONS[activation]
    first, second, third = norms

    def normalise(value: Tensor, norm: BatchNorm) -> Tensor:
        return batch_norm(value, norm, training=training, momentum=momentum)

    hidden = act(normalise(functional.conv2d(x, weights.expand), first))
    kernel = weights.depthwise.shape[-1]
    hidden = functional.conv2d(
        hidden,
        weights.depthwise,
        stride=stride,
        padding=kernel // 2,
        groups=weights.depthwise.shape[0],
    )
    hidden = act(normalise(hidden, second))
    squeezed = functional.linear(
        hidden.mean((2, 3)), weights.squeeze_weight, weights.squeeze_bias
    ).relu()
    gate = functional.linear(squeezed, weights.excite_weight, weights.excite_bias).sigmoid()
    out = normalise(functional.conv2d(hidden * gate[:, :, None, None], weights.project), third)
    if residual:
        out = torch.add(out, x)
    return out if into is None else into.add_(out)
