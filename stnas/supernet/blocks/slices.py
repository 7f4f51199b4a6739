"""Layers of which a form of a block uses the leading channels alone."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from stnas.ops.layers.reference import BatchNorm, SyncBatchNorm, batch_norm
from stnas.ops.slices import Slice, cut
from stnas.space.spos import Pass
from stnas.supernet.norms import SharedNorm, advance_


def branch_slices(passes: Sequence[Pass]) -> tuple[Slice, ...]:
    """Return what convolutions of these sizes are in larger ones: ``w[:out, :in]``."""
    return tuple((slice(own.after), slice(1 if own.depthwise else own.before)) for own in passes)


def sliced_branch(layers: nn.Sequential, slices: Sequence[Slice], x: Tensor) -> Tensor:
    """Compute convolutions, each with the BN and perhaps the ReLU behind it, by their slices."""
    left = iter(slices)
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            used = next(left)
            groups = used[0].stop if layer.groups > 1 else 1
            x = functional.conv2d(
                x, layer.weight[used], None, layer.stride, layer.padding, layer.dilation, groups
            )
        elif isinstance(layer, nn.BatchNorm2d):
            x = sliced_norm(layer, x)
        else:
            x = layer(x)
    return x


def sliced_norm(layer: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Normalise ``[N, c, H, W]`` by the first c channels of a BN layer, whose own are more."""
    tensors, training, momentum = advance_(layer)
    used = (slice(x.shape[1]),)
    own = BatchNorm(*(cut(value, used) for value in tensors))
    if isinstance(layer, SharedNorm):
        own = SyncBatchNorm(*own)
        own.total = layer.total
    return batch_norm(x, own, training=training, momentum=momentum)
