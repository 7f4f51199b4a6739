"""The network of one genotype."""

from torch import Tensor, nn

from stnas.ops import linear_bottleneck
from stnas.space import Edge, Genotype, SearchSpace
from stnas.supernet.block import BlockFunction, LinearBottleneck, norm_act_beside
from stnas.supernet.layers import (
    ConvNormAct,
    Merge,
    Tail,
    channels_last_,
    check_images,
    make_stem,
)
from stnas.supernet.topology import (
    bottlenecks,
    checked_row,
    in_degrees,
    key,
)
from stnas.supernet.walk import propagate


class Network(nn.Module):
    """The network of one genotype, an ordinary module: parts first, ``build`` makes fresh ones.

    Weights lie channels last, and images had better do so too.
    """

    def __init__(
        self,
        space: SearchSpace,
        genotype: Genotype,
        *,
        stem: ConvNormAct,
        edges: dict[str, LinearBottleneck],
        merges: list[Merge],
        tail: Tail,
    ) -> None:
        super().__init__()
        self.space = space
        self.genotype = genotype.copy()
        self.stem = stem
        self.edges = nn.ModuleDict(edges)
        self.merges = nn.ModuleList(merges)
        self.tail = tail

    @classmethod
    def build(
        cls,
        space: SearchSpace,
        genotype: Genotype,
        *,
        affine: bool = True,
        function: BlockFunction = linear_bottleneck,
    ) -> "Network":
        """Make a network with fresh weights, drawn from torch's global generator."""
        genotype = checked_row(space, genotype)
        options = {"affine": affine, "tracked": True}
        edges = {
            key(edge): LinearBottleneck(
                space, edge, edge.choices[gene], function=function, **options
            )
            for edge, gene in bottlenecks(space, genotype)
        }
        merges = [
            Merge(node.width, merge=space.spec.merge, degrees=(degree,), **options)
            for node, degree in zip(space.nodes[1:], in_degrees(space, genotype), strict=True)
        ]
        network = cls(
            space,
            genotype,
            stem=make_stem(space, function=norm_act_beside(function), **options),
            edges=edges,
            merges=merges,
            tail=Tail(space, function=norm_act_beside(function), **options),
        )
        channels_last_(network)
        return network

    def block(self, edge: Edge) -> LinearBottleneck:
        """Return the choice block of an edge."""
        block = self.edges[key(edge)]
        assert isinstance(block, LinearBottleneck)
        return block

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits ``[N, classes]`` of images ``[N, C, H, W]``."""
        check_images(x, self.space)
        last = propagate(
            self.space,
            self.genotype,
            self.stem(x),
            block=self.block,
            merges=self.merges,
        )
        logits: Tensor = self.tail(last)
        return logits
