"""The SE linear bottleneck, the choice block of the topology augmented space."""

from functools import partial
from typing import Any

from torch import Tensor, nn

from stnas._core import stores_expanded
from stnas.config import Kernels
from stnas.ops import linear_bottleneck
from stnas.ops.bottleneck import reference
from stnas.ops.bottleneck.block import Options
from stnas.ops.bottleneck.path_plan import PathEdge
from stnas.ops.bottleneck.reference import BottleneckWeights
from stnas.space import Arc
from stnas.space.topology import Bottleneck
from stnas.supernet.blocks.block import MakeNorm, build
from stnas.supernet.norms import Bound, advance_, with_own_statistics

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
    """One choice block: an SE linear bottleneck.

    The layers only hold the tensors; the arithmetic is the operators', compiled or plain.
    """

    def __init__(self, part: Bottleneck, *, kernels: Kernels, norm: MakeNorm) -> None:
        super().__init__()
        hidden, kernel = part.hidden, part.kernel
        self.expand = nn.Conv2d(part.in_channels, hidden, 1, bias=False)
        self.expand_norm = norm(hidden)
        self.depthwise = nn.Conv2d(
            hidden, hidden, kernel, part.stride, kernel // 2, groups=hidden, bias=False
        )
        self.depthwise_norm = norm(hidden)
        self.squeeze = nn.Linear(hidden, part.squeeze)
        self.excite = nn.Linear(part.squeeze, hidden)
        self.project = nn.Conv2d(hidden, part.out_channels, 1, bias=False)
        self.project_norm = norm(part.out_channels)
        self.compiled = kernels == "fused"
        self.options = Options(part.stride, part.activation, part.residual)

    def forward(self, x: Tensor, option: int = 0) -> Tensor:
        """Map ``[N, C_in, H, W]`` to ``[N, C_out, ceil(H / stride), ceil(W / stride)]``."""
        return with_own_statistics(self.bind(), self.norms(), x)

    def norms(self, option: int = 0) -> tuple[nn.BatchNorm2d, ...]:
        """List the BN layers, in order."""
        modules: dict[str, Any] = self._modules
        return (modules["expand_norm"], modules["depthwise_norm"], modules["project_norm"])

    @property
    def reads_moments(self) -> bool:
        """Tell whether the compiled operators need the moments of x in training."""
        hidden, channels = self.expand.weight.shape[:2]
        return self.compiled and not stores_expanded(channels, hidden)

    @property
    def normalises_by_batch(self) -> bool:
        """Tell whether every BN layer uses the statistics of the batch."""
        return all(
            layer.training or layer._buffers["running_mean"] is None for layer in self.norms()
        )

    def weights(self) -> BottleneckWeights:
        """Return the weights in the order of the operators."""
        modules: dict[str, Any] = self._modules
        return BottleneckWeights(*(modules[own]._parameters[name] for own, name in WEIGHTS))

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
def choice_block(part: Bottleneck, *, kernels: Kernels, norm: MakeNorm) -> LinearBottleneck:
    """Make the choice block of a bottleneck."""
    return LinearBottleneck(part, kernels=kernels, norm=norm)
