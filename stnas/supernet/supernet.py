"""The hyper-network."""

import copy
from collections import defaultdict

import numpy as np
from torch import Tensor, nn

from stnas.ops import linear_bottleneck
from stnas.space import Edge, Genotype, SearchSpace
from stnas.supernet.block import BlockFunction, LinearBottleneck, norm_act_beside
from stnas.supernet.layers import (
    Merge,
    Tail,
    channels_last_,
    check_images,
    make_stem,
)
from stnas.supernet.network import Network
from stnas.supernet.norms import track_statistics_
from stnas.supernet.topology import (
    bottlenecks,
    checked_row,
    in_degrees,
    key,
)
from stnas.supernet.walk import propagate


def part_of(name: str) -> str:
    """Return the part of the hyper-network that holds a parameter: ``stem``, ``blocks.3.k3_e6``."""
    first, *rest = name.split(".")
    return ".".join((first, *rest[:2])) if first == "blocks" else first


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
        self.stem = make_stem(space, function=norm_act_beside(function), **options)
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
        self.tail = Tail(space, function=norm_act_beside(function), **options)
        channels_last_(self)
        self._numbers = defaultdict[str, list[int]](list)
        for number, (name, _) in enumerate(self.named_parameters()):
            self._numbers[part_of(name)].append(number)

    def block(self, edge: Edge, gene: int) -> LinearBottleneck:
        """Return the choice block that a gene selects on an edge."""
        choices = self.blocks[edge.index]
        assert isinstance(choices, nn.ModuleDict)
        chosen = choices[edge.choices[gene].name]
        assert isinstance(chosen, LinearBottleneck)
        return chosen

    def active_parameters(self, genotype: Genotype) -> list[int]:
        """Number the parameters that training an architecture moves, as ``parameters()`` does."""
        chosen = bottlenecks(self.space, checked_row(self.space, genotype))
        blocks = [f"blocks.{edge.index}.{edge.choices[gene].name}" for edge, gene in chosen]
        return [i for part in ("stem", *blocks, "merges", "tail") for i in self._numbers[part]]

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
