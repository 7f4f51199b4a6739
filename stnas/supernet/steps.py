"""The values that architectures computed together are made of, each with BN statistics."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from stnas.ops.bottleneck.block import affine_parameters, packed
from stnas.ops.bottleneck.inference import BoundBlock
from stnas.ops.layers.reference import BatchNorm
from stnas.space import Edge
from stnas.supernet.block import LinearBottleneck
from stnas.supernet.layers import ConvNormAct, Merge
from stnas.supernet.norms import Bound, reset_statistics
from stnas.supernet.topology import key

Norms = tuple[BatchNorm, ...]
Compute = Callable[..., Tensor]
"""A function of its inputs, of ``training`` and of ``momentum``."""


class Step(NamedTuple):
    """One value: ``compute`` of the values at the positions ``inputs``, with BN state ``norms``.

    name: the module in a cut-out network. Position 0 holds the images. reads_moments: in training
    ``compute`` takes the moments of its input too.
    """

    name: str
    compute: Compute
    inputs: tuple[int, ...]
    norms: Norms
    reads_moments: bool = False


class Part(NamedTuple):
    """What the steps of one module have in common. reset: its BN layers' state at first."""

    name: str
    bind: Callable[[Norms], Compute]
    reset: Norms
    reads_moments: bool = False

    def step(self, inputs: tuple[int, ...]) -> Step:
        """Return a step with statistics of its own: mean 0, variance 1."""
        norms = tuple(map(own_statistics, self.reset))
        return Step(self.name, self.bind(norms), inputs, norms, self.reads_moments)


def own_statistics(norm: BatchNorm) -> BatchNorm:
    """Return a copy of the running statistics beside the same parameters."""
    weight, bias, mean, variance = norm
    assert mean is not None
    assert variance is not None
    return BatchNorm(weight, bias, mean.clone(), variance.clone())


def layer_part(name: str, layer: ConvNormAct, *, device: torch.device) -> Part:
    """Return the stem or the tail's features."""
    reset = tuple(reset_statistics(own, device=device) for own in layer.norms)
    return Part(name, with_norms(layer.bind()), reset)


def merge_part(target: int, merge: Merge, degree: int, *, device: torch.device) -> Part:
    """Return the merge of so many edges into a node."""
    reset = tuple(reset_statistics(own, device=device) for own in merge.norms(degree))
    return Part(f"merges.{target - 1}", with_norms(merge.bind(degree)), reset)


def block_part(edge: Edge, block: LinearBottleneck, *, device: torch.device) -> Part:
    """Return a choice block of an edge."""
    first, second, third = (reset_statistics(own, device=device) for own in block.norms)
    norms, bind = (first, second, third), with_norms(block.bind())
    if block.compiled:
        weights, affine = packed(block.weights()), affine_parameters(norms)
        bind = partial(BoundBlock, weights, affine, block.options)
    return Part(f"edges.{key(edge)}", bind, norms, block.reads_moments)


def with_norms(bound: Bound) -> Callable[[Norms], Compute]:
    """Return what gives a layer the state of its BN layers."""
    return lambda norms: partial(bound, norms=norms)
