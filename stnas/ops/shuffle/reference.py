"""The plain-PyTorch twin of the shuffle block: its oracle, and ``--kernels reference``."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from stnas.ops.layers.reference import BatchNorm, batch_norm


class ShuffleWeights(NamedTuple):
    """Weights of the convolutions of a shuffle block, in the order in which they are applied."""

    main: tuple[Tensor, ...]
    """1x1 ``[M, C, 1, 1]`` and depthwise ``[M, 1, K, K]`` ones; each depthwise precedes a 1x1."""
    project: tuple[Tensor, ...] = ()
    """Depthwise and 1x1 of the second head; empty where half of the channels pass by."""


def shuffle_block(
    x: Tensor,
    weights: ShuffleWeights,
    norms: Sequence[BatchNorm],
    *,
    stride: int,
    training: bool,
    momentum: float = 0.1,
) -> Tensor:
    """Apply a choice block: ``cat(keep, main(work))``, with two heads ``cat(project(x), main(x))``.

    x: ``[N, C, H, W]``; ``keep = x[:, 0::2]`` and ``work = x[:, 1::2]``, which shuffles, since what
    is kept stands beside what was computed. A head is its convolutions, a BN after each and a ReLU
    after each 1x1; its first depthwise convolution has the stride. norms: BN layers of main, then
    of project. The result is ``[N, C', ceil(H / stride), ceil(W / stride)]``. Source: Single Path
    One-Shot (Guo et al. 2020, section 4), ShuffleNetV2 (Ma et al. 2018, figure 3 c and d).
    """
    rest = iter(norms)

    def head(value: Tensor, convolutions: Sequence[Tensor]) -> Tensor:
        return apply_head(
            value, convolutions, rest, stride=stride, training=training, momentum=momentum
        )

    if weights.project:
        main = head(x, weights.main)
        return torch.cat((head(x, weights.project), main), 1)
    return torch.cat((x[:, 0::2], head(x[:, 1::2], weights.main)), 1)


def apply_head(
    x: Tensor,
    convolutions: Sequence[Tensor],
    norms: Iterator[BatchNorm],
    *,
    stride: int,
    training: bool,
    momentum: float,
) -> Tensor:
    """Apply convolutions, a BN after each, taken from ``norms``, and a ReLU after each 1x1."""
    for weight in convolutions:
        kernel = weight.shape[-1]
        if kernel == 1:
            x = functional.conv2d(x, weight)
        else:
            x = functional.conv2d(x, weight, None, stride, kernel // 2, groups=len(weight))
            stride = 1
        x = batch_norm(x, next(norms), training=training, momentum=momentum)
        if kernel == 1:
            x = x.relu()
    return x
