"""The choice block of an edge."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

from stnas.ops import linear_bottleneck, norm_act
from stnas.ops.bottleneck.block import Options
from stnas.ops.bottleneck.fake import stores_expanded
from stnas.ops.bottleneck.path_plan import PathEdge
from stnas.ops.bottleneck.reference import BottleneckWeights
from stnas.ops.layers import reference
from stnas.space import Edge, Operation, SearchSpace
from stnas.supernet.norms import Bound, advance_, norm, with_own_statistics

BlockFunction = Callable[..., Tensor]
"""A form of the choice block, with the signature of its plain twin in ``ops.bottleneck``."""


def norm_act_beside(function: BlockFunction) -> Callable[..., Tensor]:
    """Return the form of BN and activation that goes with a form of the choice block."""
    return norm_act if function is linear_bottleneck else reference.norm_act


WEIGHTS = (
    ("expand", "weight"),
    ("depthwise", "weight"),
    ("squeeze", "weight"),
    ("squeeze", "bias"),
    ("excite", "weight"),
    ("excite", "bias"),
    ("project", "weight"),
)
"""Layer and name of each of ``BottleneckWeights``."""


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
        self.options = Options(edge.stride, space.spec.activation, edge.residual)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C_in, H, W]`` to ``[N, C_out, ceil(H / stride), ceil(W / stride)]``."""
        return with_own_statistics(self.bind(), self.norms, x)

    @property
    def norms(self) -> tuple[nn.BatchNorm2d, ...]:
        """The BN layers, in order."""
        modules: dict[str, Any] = self._modules
        return (modules["expand_norm"], modules["depthwise_norm"], modules["project_norm"])

    @property
    def compiled(self) -> bool:
        """Tell whether the compiled operators compute the block."""
        return self.function is linear_bottleneck

    @property
    def reads_moments(self) -> bool:
        """Tell whether the compiled operators need the moments of x in training."""
        hidden, channels = self.expand.weight.shape[:2]
        return self.compiled and not stores_expanded(channels, hidden)

    @property
    def normalises_by_batch(self) -> bool:
        """Tell whether every BN layer uses the statistics of the batch."""
        return all(layer.training or layer._buffers["running_mean"] is None for layer in self.norms)

    def weights(self) -> BottleneckWeights:
        """Return the weights in the order of the operators."""
        modules: dict[str, Any] = self._modules
        return BottleneckWeights(*(modules[own]._parameters[name] for own, name in WEIGHTS))

    def bind(self) -> Bound:
        """Return the block as a function of x and the state of its BN layers."""
        return partial(self.function, weights=self.weights(), **self.options._asdict())

    def advance_on_path_(self, edge: Edge) -> PathEdge:
        """Return the block as an edge of a path, and count the batch as ``forward`` does."""
        states = [advance_(layer) for layer in self.norms]
        first, second, third = (tensors for tensors, _, _ in states)
        norms, momentum = (first, second, third), states[0][2]
        return PathEdge(edge.source, edge.target, self.weights(), norms, self.options, momentum)
