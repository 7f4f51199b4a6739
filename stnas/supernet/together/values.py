"""The values that architectures computed together are made of, each with BN statistics."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from stnas.ops.bottleneck.arguments import affine_parameters, packed
from stnas.ops.bottleneck.inference import BoundBlock
from stnas.ops.layers.reference import BatchNorm
from stnas.supernet.blocks import LinearBottleneck
from stnas.supernet.blocks.block import apply, norms_of
from stnas.supernet.layers import Features, Merge
from stnas.supernet.norms import Bound, lent, reset_statistics

Norms = tuple[BatchNorm, ...]
Compute = Callable[..., Tensor]
"""A function of its inputs, of ``training`` and of ``momentum``."""


class Value(NamedTuple):
    """One value: ``compute`` of the values at the positions ``inputs``, with BN state ``norms``.

    name: the module in a cut-out network. Position 0 holds the images. reads_moments: in training
    ``compute`` takes the moments of its input too.
    """

    name: str
    compute: Compute
    inputs: tuple[int, ...]
    norms: Norms
    reads_moments: bool = False


class Producer(NamedTuple):
    """What the values of one module have in common. reset: its BN layers' state at first."""

    name: str
    bind: Callable[[Norms], Compute]
    reset: Norms
    reads_moments: bool = False

    def value(self, inputs: tuple[int, ...]) -> Value:
        """Return a value with statistics of its own: mean 0, variance 1."""
        norms = tuple(map(own_statistics, self.reset))
        return Value(self.name, self.bind(norms), inputs, norms, self.reads_moments)


def own_statistics(norm: BatchNorm) -> BatchNorm:
    """Return a copy of the running statistics beside the same parameters."""
    weight, bias, mean, variance = norm
    assert mean is not None
    assert variance is not None
    return BatchNorm(weight, bias, mean.clone(), variance.clone())


def layer_producer(name: str, layer: Features, *, device: torch.device) -> Producer:
    """Return the stem or the tail's features."""
    reset = tuple(reset_statistics(own, device=device) for own in layer.norms())
    return Producer(name, with_norms(layer.bind()), reset)


def merge_producer(target: int, merge: Merge, degree: int, *, device: torch.device) -> Producer:
    """Return the merge of so many edges into a node."""
    reset = tuple(reset_statistics(own, device=device) for own in merge.norms(degree))
    return Producer(f"merges.{target - 1}", with_norms(merge.bind(degree)), reset)


def block_producer(name: str, block: nn.Module, option: int, *, device: torch.device) -> Producer:
    """Return a form of a block; compiled ones are bound to their tensors, once."""
    if not isinstance(block, LinearBottleneck):
        layers = norms_of(block, option)
        reset = tuple(reset_statistics(own, device=device) for own in layers)
        return Producer(name, lambda norms: partial(_lending, block, option, layers, norms), reset)
    first, second, third = (reset_statistics(own, device=device) for own in block.norms())
    norms, bind = (first, second, third), with_norms(block.bind())
    if block.compiled:
        weights, affine = packed(block.weights()), affine_parameters(norms)
        bind = partial(BoundBlock, weights, affine, block.options)
    return Producer(name, bind, norms, block.reads_moments)


def _lending(
    block: nn.Module,
    option: int,
    layers: tuple[nn.BatchNorm2d, ...],
    norms: Norms,
    x: Tensor,
    *,
    training: bool,
    momentum: float,
) -> Tensor:
    """Compute a block of any kind with BN statistics that are kept beside it."""
    with lent(layers, norms, training=training, momentum=momentum):
        return apply(block, x, option)


def with_norms(bound: Bound) -> Callable[[Norms], Compute]:
    """Return what gives a layer the state of its BN layers."""
    return lambda norms: partial(bound, norms=norms)
