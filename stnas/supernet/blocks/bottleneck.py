"""Linear bottlenecks: with SE in the topology augmented space, without in NAS-Bench-Macro's."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from stnas._core import stores_expanded
from stnas.config import Kernels
from stnas.ops import linear_bottleneck
from stnas.ops.bottleneck import reference
from stnas.ops.bottleneck.arguments import Options
from stnas.ops.bottleneck.path_plan import PathEdge
from stnas.ops.bottleneck.reference import BottleneckWeights
from stnas.ops.layers.reference import ACTIVATIONS
from stnas.space import Arc, SearchSpace
from stnas.space.macro import InvertedResidual
from stnas.space.topology import Bottleneck
from stnas.supernet.as_built import (
    AsBuilt,
    agree,
    are_plain,
    have_kernels,
    is_plain,
    is_unwatched,
    takes_batch,
)
from stnas.supernet.blocks.block import MakeNorm, build
from stnas.supernet.norms import Bound, advance_

CONVOLUTIONS = ("expand", "depthwise", "project")
GATE = (
    ("squeeze", "weight"),
    ("squeeze", "bias"),
    ("excite", "weight"),
    ("excite", "bias"),
)
"""Layer and name of the tensors of SE, in the order of ``BottleneckWeights``."""
OPEN_GATE = tuple("_".join(name) for name in GATE)
"""The buffers that stand for them in a block without SE."""
OPEN = 100.0
"""Bias of a gate that is open: its sigmoid is 1, to the last bit of a float64."""


class LinearBottleneck(nn.Module):
    """One choice block: a linear bottleneck, with SE or, where ``part.squeeze`` is 0, without.

    The operators know bottlenecks with SE: without, they get a gate that is open and has no
    weights of its own, ``sigmoid(100) = 1``.

    Where it is ``compiled`` one operator computes it and the layers only hold the tensors, as long
    as these are the layers that were built and the pass is one of plain numbers. Else each layer
    is called.
    """

    def __init__(
        self, part: Bottleneck | InvertedResidual, *, kernels: Kernels, norm: MakeNorm
    ) -> None:
        super().__init__()
        hidden, kernel = part.hidden, part.kernel
        self.expand = nn.Conv2d(part.in_channels, hidden, 1, bias=False)
        self.expand_norm = norm(hidden)
        self.depthwise = nn.Conv2d(
            hidden, hidden, kernel, part.stride, kernel // 2, groups=hidden, bias=False
        )
        self.depthwise_norm = norm(hidden)
        self.gated = part.squeeze > 0
        if self.gated:
            self.squeeze = nn.Linear(hidden, part.squeeze)
            self.excite = nn.Linear(part.squeeze, hidden)
        else:
            gate = (
                torch.zeros(1, hidden),
                torch.zeros(1),
                torch.zeros(hidden, 1),
                torch.full((hidden,), OPEN),
            )
            for name, tensor in zip(OPEN_GATE, gate, strict=True):
                self.register_buffer(name, tensor, persistent=False)
        self.project = nn.Conv2d(hidden, part.out_channels, 1, bias=False)
        self.project_norm = norm(part.out_channels)
        self.compiled = kernels == "fused"
        self.options = Options(part.stride, part.activation, part.residual)
        self.built = AsBuilt(self)

    def forward(self, x: Tensor, option: int = 0) -> Tensor:
        """Map ``[N, C_in, H, W]`` to ``[N, C_out, ceil(H / stride), ceil(W / stride)]``."""
        weights = self.fusible(x) if self.compiled and is_plain(x) else None
        if weights is not None:
            (first, training, momentum), second, third = map(advance_, self.norms())
            norms, (stride, activation, residual) = (first, second[0], third[0]), self.options
            return linear_bottleneck(
                x, weights, norms, stride=stride, activation=activation,
                residual=residual, training=training, momentum=momentum,
            )  # fmt: skip
        return self.by_layers(x)

    def by_layers(self, x: Tensor) -> Tensor:
        """Compute the block by calling its layers, whatever stands in their places."""
        act = ACTIVATIONS[self.options.activation]
        hidden = act(self.expand_norm(self.expand(x)))
        hidden = act(self.depthwise_norm(self.depthwise(hidden)))
        if self.gated:
            gate = self.excite(self.squeeze(hidden.mean((2, 3))).relu()).sigmoid()
            hidden = hidden * gate[:, :, None, None]
        out: Tensor = self.project_norm(self.project(hidden))
        return out + x if self.options.residual else out

    def fusible(self, x: Tensor) -> BottleneckWeights | None:
        """Return the weights if the block's operator may stand in for its layers."""
        if not self.built.holds(self):
            return None
        weights, norms = self.weights(), self.norms()
        known = are_plain(weights) and agree(norms) and have_kernels(x, weights.expand, norms[0])
        return weights if known else None

    def norms(self, option: int = 0) -> tuple[nn.BatchNorm2d, ...]:
        """List the BN layers, in order."""
        modules: dict[str, Any] = self._modules
        return (modules["expand_norm"], modules["depthwise_norm"], modules["project_norm"])

    @property
    def reads_moments(self) -> bool:
        """Tell whether the compiled operators need the moments of x in training."""
        hidden, channels = self.expand.weight.shape[:2]
        return self.compiled and not stores_expanded(channels, hidden)

    def fits_a_path(self, x: Tensor) -> bool:
        """Tell whether the operator of a whole path may stand in for the block."""
        from_batch = takes_batch(self.norms()[0])
        return self.compiled and from_batch and is_unwatched(self) and self.fusible(x) is not None

    def weights(self) -> BottleneckWeights:
        """Return the weights in the order of the operators."""
        own: dict[str, Any] = self._modules
        gate: Iterable[Any] = (
            (own[layer]._parameters[name] for layer, name in GATE)
            if self.gated
            else map(self._buffers.__getitem__, OPEN_GATE)
        )
        expand, depthwise, project = (own[name]._parameters["weight"] for name in CONVOLUTIONS)
        return BottleneckWeights(*(expand, depthwise, *gate, project))

    def bind(self) -> Bound:
        """Return the block as a function of x and the state of its BN layers."""
        function = linear_bottleneck if self.compiled else reference.linear_bottleneck
        return partial(function, weights=self.weights(), **self.options._asdict())

    def advance_on_path_(self, arc: Arc) -> PathEdge:
        """Return the block as an edge of a path, and count the batch as ``forward`` does."""
        states = [advance_(layer) for layer in self.norms()]
        first, second, third = (tensors for tensors, _, _ in states)
        norms, momentum = (first, second, third), states[0][2]
        return PathEdge(arc.source, arc.target, self.weights(), norms, self.options, momentum)


@build.register
def choice_block(
    part: Bottleneck | InvertedResidual, *, kernels: Kernels, norm: MakeNorm
) -> LinearBottleneck:
    """Make the choice block of a bottleneck."""
    return LinearBottleneck(part, kernels=kernels, norm=norm)


def has_gpu_kernels(space: SearchSpace, kernels: Kernels) -> bool:
    """Tell whether blocks of a space have kernels for a GPU; torch's operators compute others."""
    made = (isinstance(part, Bottleneck | InvertedResidual) for part in space.parts.values())
    return kernels == "fused" and any(made)
