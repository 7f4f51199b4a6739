"""Networks: the walk through the nodes, the hyper-network, and a network of one genotype."""

import copy
from collections.abc import Callable
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from stnas.ops import linear_bottleneck
from stnas.space import Edge, SearchSpace
from stnas.supernet.layers import (
    BlockFunction,
    ConvNormAct,
    LinearBottleneck,
    Merge,
    Tail,
    channels_last_,
    check_images,
    make_stem,
    track_statistics_,
)

Genotype = NDArray[np.int8]


def propagate(
    space: SearchSpace,
    genotype: Genotype,
    first: Tensor,
    *,
    block: Callable[[Edge], nn.Module],
    merges: nn.ModuleList,
) -> Tensor:
    """Compute the nodes in order and return the last: ``v_j = merge_i(edge_ij(v_i))``.

    first: the value of v1. block: gives the module of a present edge that is no identity. A value
    is let go once no later edge can leave its node.
    """
    reach = max((1, *space.spec.branch_distances))
    values = {0: first}
    for target, edges in groupby(space.edges, key=lambda edge: edge.target):
        entering = []
        for edge in edges:
            kind = edge.choices[genotype[edge.index]].kind
            if kind != "none":
                source = values[edge.source]
                entering.append(source if kind == "identity" else block(edge)(source))
        values[target] = merges[target - 1](entering)
        values.pop(target - reach, None)
    return values[space.nodes[-1].index]


def checked_row(space: SearchSpace, genotype: Genotype) -> Genotype:
    """Return the genotype ``[genes]`` after the space has checked it."""
    row = np.asarray(genotype)
    if row.ndim != 1:
        raise ValueError(
            f"genotype must be one row [{space.num_genes}], got the shape {list(row.shape)}: "
            "pass genotypes[i]"
        )
    space.check(row[None])
    return row


def in_degrees(space: SearchSpace, genotype: Genotype) -> list[int]:
    """Count the present edges that enter v2, v3, ..., in order."""
    counts = [0] * len(space.nodes)
    for edge, gene in zip(space.edges, genotype, strict=True):
        counts[edge.target] += edge.choices[gene].kind != "none"
    return counts[1:]


def bottlenecks(space: SearchSpace, genotype: Genotype) -> list[tuple[Edge, int]]:
    """List the edges that carry a choice block, each with its gene."""
    genes = zip(space.edges, genotype.tolist(), strict=True)
    return [(edge, gene) for edge, gene in genes if edge.choices[gene].kind == "bottleneck"]


def key(edge: Edge) -> str:
    """Name an edge's module, such as ``v1_v3``."""
    return f"v{edge.source + 1}_v{edge.target + 1}"


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
            stem=make_stem(space, **options),
            edges=edges,
            merges=merges,
            tail=Tail(space, **options),
        )
        channels_last_(network)
        return network

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits ``[N, classes]`` of images ``[N, C, H, W]``."""
        check_images(x, self.space)
        last = propagate(
            self.space,
            self.genotype,
            self.stem(x),
            block=lambda edge: self.edges[key(edge)],
            merges=self.merges,
        )
        logits: Tensor = self.tail(last)
        return logits


class SuperNet(nn.Module):
    """The hyper-network: every choice block of every edge, with weights that paths share.

    Its BN layers use the statistics of the batch and keep none; networks cut out with ``extract``
    keep their own. Weights are drawn from torch's global generator.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        affine: bool = False,
        function: BlockFunction = linear_bottleneck,
    ) -> None:
        super().__init__()
        self.space = space
        options = {"affine": affine, "tracked": False}
        self.stem = make_stem(space, **options)
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                {
                    choice.name: LinearBottleneck(space, edge, choice, function=function, **options)
                    for choice in edge.choices
                    if choice.kind == "bottleneck"
                }
            )
            for edge in space.edges
        )
        most = in_degrees(space, np.ones(space.num_genes, np.int8))
        self.merges = nn.ModuleList(
            Merge(node.width, merge=space.spec.merge, degrees=tuple(range(1, n + 1)), **options)
            for node, n in zip(space.nodes[1:], most, strict=True)
        )
        self.tail = Tail(space, **options)
        channels_last_(self)

    def block(self, edge: Edge, gene: int) -> LinearBottleneck:
        """Return the choice block that a gene selects on an edge."""
        choices = self.blocks[edge.index]
        assert isinstance(choices, nn.ModuleDict)
        chosen = choices[edge.choices[gene].name]
        assert isinstance(chosen, LinearBottleneck)
        return chosen

    def forward(self, x: Tensor, genotype: Genotype) -> Tensor:
        """Compute the logits ``[N, classes]`` of images ``[N, C, H, W]`` along one architecture.

        genotype: int8 ``[genes]``. Only the blocks of this architecture are computed and get
        gradients.
        """
        check_images(x, self.space)
        genotype = checked_row(self.space, genotype)
        last = propagate(
            self.space,
            genotype,
            self.stem(x),
            block=lambda edge: self.block(edge, int(genotype[edge.index])),
            merges=self.merges,
        )
        logits: Tensor = self.tail(last)
        return logits

    def extract(self, genotype: Genotype) -> Network:
        """Cut out the network of a genotype.

        It holds the very parameters of the hyper-network (``copy.deepcopy`` of the result is
        independent) and BN statistics of its own, which are reset.
        """
        genotype = checked_row(self.space, genotype)
        shared = {id(parameter): parameter for parameter in self.parameters()}
        degrees = in_degrees(self.space, genotype)
        network = Network(
            self.space,
            genotype,
            stem=copy.deepcopy(self.stem, dict(shared)),
            edges={
                key(edge): copy.deepcopy(self.block(edge, gene), dict(shared))
                for edge, gene in bottlenecks(self.space, genotype)
            },
            merges=[
                copy.deepcopy(merge, dict(shared)).keep_(degree)
                for merge, degree in zip(self.merges.children(), degrees, strict=True)
                if isinstance(merge, Merge)
            ],
            tail=copy.deepcopy(self.tail, dict(shared)),
        )
        track_statistics_(network)
        return network
