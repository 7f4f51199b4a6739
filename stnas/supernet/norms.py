"""State of BN layers: a layer's own, or one that is kept beside it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from stnas.ops.layers.reference import BatchNorm, SyncBatchNorm, batch_norm

Bound = Callable[..., Tensor]
"""A layer with its weights: a function of its inputs and of ``norms``, ``training``, ``momentum``,
which ``ops.layers.reference.batch_norm`` explains."""


class SharedNorm(nn.BatchNorm2d):
    """A BN layer that in training uses the statistics of the images of all processes."""

    total: Callable[[Tensor], Tensor]
    """Sums over the processes, as ``ops.layers.reference.SyncBatchNorm`` says."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``[N, C, H, W]``."""
        tensors, training, momentum = advance_(self)
        shared = SyncBatchNorm(*tensors)
        shared.total = self.total
        return batch_norm(x, shared, training=training, momentum=momentum)


def norm(channels: int, *, affine: bool, tracked: bool) -> nn.BatchNorm2d:
    """Make a BN layer; ``tracked``: with running statistics to evaluate with."""
    return nn.BatchNorm2d(channels, affine=affine, track_running_stats=tracked)


def advance_(layer: nn.BatchNorm2d) -> tuple[BatchNorm, bool, float]:
    """Return a BN layer's tensors, whether it uses the batch's statistics, and its momentum.

    Counts the batch where the layer tracks statistics, as ``nn.BatchNorm2d`` does: momentum None
    is the cumulative average, a factor of 1/n for the n-th batch.
    """
    # A step asks some hundred layers: their dictionaries answer ten times as fast as attributes.
    parameters, buffers = layer._parameters, layer._buffers
    tensors = BatchNorm(
        parameters["weight"],
        parameters["bias"],
        buffers["running_mean"],
        buffers["running_var"],
    )
    from_batch = layer.training or tensors.running_mean is None
    momentum = layer.momentum
    tracked = buffers["num_batches_tracked"]
    if layer.training and tracked is not None:
        tracked.add_(1)
        if momentum is None:
            momentum = 1.0 / int(tracked)
    return tensors, from_batch, momentum or 0.0


def with_own_statistics(
    bound: Bound, layers: tuple[nn.BatchNorm2d, ...], *inputs: Tensor
) -> Tensor:
    """Apply a layer with the state that its BN layers are in, and advance it."""
    states = [advance_(layer) for layer in layers]
    _, training, momentum = states[0] if states else (None, False, 0.0)
    norms = tuple(tensors for tensors, _, _ in states)
    return bound(*inputs, norms=norms, training=training, momentum=momentum)


def synchronise_(module: nn.Module, total: Callable[[Tensor], Tensor]) -> None:
    """Let every BN layer use the statistics of the images of all processes."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.__class__ = SharedNorm
            layer.__dict__["total"] = total


def track_statistics_(module: nn.Module) -> None:
    """Give every BN layer running statistics, reset: mean 0, variance 1, no batch counted."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            device = next(module.parameters()).device
            layer.track_running_stats = True
            layer.running_mean = torch.zeros(layer.num_features, device=device)
            layer.running_var = torch.ones(layer.num_features, device=device)
            layer.num_batches_tracked = torch.zeros((), dtype=torch.long, device=device)


def reset_statistics(layer: nn.BatchNorm2d, *, device: torch.device) -> BatchNorm:
    """Return a BN layer's parameters with statistics of their own: mean 0, variance 1."""
    mean = torch.zeros(layer.num_features, device=device)
    return BatchNorm(layer.weight, layer.bias, mean, torch.ones_like(mean))


@contextmanager
def lent(
    layers: Sequence[nn.BatchNorm2d],
    states: Sequence[BatchNorm],
    *,
    training: bool,
    momentum: float,
) -> Iterator[None]:
    """Let BN layers work with statistics that are kept beside them, and leave them as they were."""
    own = [
        (layer.running_mean, layer.running_var, layer.track_running_stats, layer.momentum)
        for layer in layers
    ]
    modes = [layer.training for layer in layers]
    for layer, state in zip(layers, states, strict=True):
        layer.running_mean, layer.running_var = state.running_mean, state.running_var
        layer.track_running_stats, layer.momentum = True, momentum
        layer.training = training
    try:
        yield
    finally:
        for layer, kept, mode in zip(layers, own, modes, strict=True):
            layer.running_mean, layer.running_var, layer.track_running_stats, layer.momentum = kept
            layer.training = mode
