"""Plain-PyTorch twins of the layers of stem and tail: their oracles."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


def identity(x: Tensor) -> Tensor:
    """Return x, where no activation follows a BN layer."""
    return x


ACTIVATIONS: dict[str, Callable[..., Tensor]] = {
    "relu": functional.relu,
    "relu6": functional.relu6,
    "hardswish": functional.hardswish,
    "silu": functional.silu,
    "identity": identity,
}
EPS = 1e-5


class BatchNorm(NamedTuple):
    """Affine parameters and running statistics of one BN layer, each ``[C]`` or None."""

    weight: Tensor | None = None
    bias: Tensor | None = None
    running_mean: Tensor | None = None
    running_var: Tensor | None = None


class SyncBatchNorm(BatchNorm):
    """A BN layer that in training uses the statistics of the images of all processes."""

    total: Callable[[Tensor], Tensor]
    """Sums a vector over the processes, and so does its gradient."""


def sync_batch_norm(x: Tensor, norm: SyncBatchNorm, *, momentum: float) -> Tensor:
    """Normalise as ``batch_norm`` does in training, over the images of all processes.

    ``mean = sum(x) / n`` and ``var = sum((x - mean)^2) / n``, the sums and n over all of them.
    """
    images, channels = x.shape[:2]
    own = x.new_tensor([images * x[0, 0].numel()])
    sums = norm.total(torch.cat((x.sum((0, 2, 3)), own)))
    count, mean = sums[-1].detach(), sums[:-1] / sums[-1].detach()
    centred = x - mean.view(1, channels, 1, 1)
    var = norm.total(centred.square().sum((0, 2, 3))) / count
    scale = torch.rsqrt(var + EPS)
    if norm.weight is not None:
        scale = scale * norm.weight
    with torch.no_grad():
        if norm.running_mean is not None:
            norm.running_mean.lerp_(mean, momentum)
        if norm.running_var is not None:
            norm.running_var.lerp_(var * (count / (count - 1)), momentum)
    out = centred * scale.view(1, channels, 1, 1)
    return out if norm.bias is None else out + norm.bias.view(1, channels, 1, 1)


def batch_norm(x: Tensor, norm: BatchNorm, *, training: bool, momentum: float) -> Tensor:
    """Normalise over N, H, W: ``(x - mean) / sqrt(var + 1e-5) * weight + bias``.

    training: use the statistics of the batch and, where ``norm`` has running ones, move them in
    place by ``momentum`` (their variance is the unbiased one). Otherwise use the running ones.
    """
    if training and isinstance(norm, SyncBatchNorm):
        return sync_batch_norm(x, norm, momentum=momentum)
    return functional.batch_norm(
        x,
        norm.running_mean,
        norm.running_var,
        norm.weight,
        norm.bias,
        training=training,
        momentum=momentum,
        eps=EPS,
    )


def norm_act(
    x: Tensor, norm: BatchNorm, *, activation: str, training: bool, momentum: float = 0.1
) -> Tensor:
    """Normalise and activate: ``act(BN(x))``; ``batch_norm`` explains the arguments."""
    return ACTIVATIONS[activation](batch_norm(x, norm, training=training, momentum=momentum))
