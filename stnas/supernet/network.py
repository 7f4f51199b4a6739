"""The network of one genotype."""

from collections.abc import Mapping, Set
from functools import partial

from torch import Tensor, nn

from stnas.config import Kernels
from stnas.space import Arc, Genotype, SearchSpace
from stnas.space.description import arc_names
from stnas.space.part import form_of
from stnas.supernet.blocks import build
from stnas.supernet.layers import (
    ConvNormAct,
    Merge,
    Tail,
    channels_last_,
    check_images,
    make_stem,
)
from stnas.supernet.norms import norm
from stnas.supernet.walk import node_values, propagate


class Network(nn.Module):
    """The network of one genotype, an ordinary module: parts first, ``build`` makes fresh ones.

    edges: the blocks by the names of their arcs. Weights lie channels last, and images had better
    do so too.
    """

    def __init__(
        self,
        space: SearchSpace,
        genotype: Genotype,
        *,
        stem: ConvNormAct,
        blocks: Mapping[str, nn.Module],
        merges: list[Merge],
        tail: Tail,
    ) -> None:
        """Put a network together; blocks: by the keys of the parts that the genotype uses."""
        super().__init__()
        self.space = space
        self.genotype = genotype.copy()
        self.arcs = space.arcs_of(genotype)
        self.stem = stem
        self._names = dict[Arc, str]()
        owners: dict[str, str] = {}
        for arc, name in arc_names(space, self.arcs):
            assert arc.part is not None
            self._names[arc] = owners.setdefault(arc.part, name)
        self.edges = nn.ModuleDict({name: blocks[key] for key, name in owners.items()})
        self.merges = nn.ModuleList(merges)
        self.tail = tail

    @classmethod
    def build(
        cls,
        space: SearchSpace,
        genotype: Genotype,
        *,
        affine: bool = True,
        kernels: Kernels = "fused",
    ) -> "Network":
        """Make a network with fresh weights, drawn from torch's global generator."""
        genotype = space.check_row(genotype)
        arcs = space.arcs_of(genotype)
        make = partial(norm, affine=affine, tracked=True)
        uses: dict[str, set[int]] = {}
        for arc in arcs:
            if arc.part is not None:
                uses.setdefault(arc.part, set()).add(arc.option)
        parts = {key: form_of(space.parts[key], options) for key, options in uses.items()}
        blocks = {key: build(part, kernels=kernels, norm=make) for key, part in parts.items()}
        network = cls(
            space,
            genotype,
            merges=[
                Merge(node, degrees=(degree,), norm=make)
                for node, degree in zip(space.nodes[1:], in_degrees(space, arcs), strict=True)
            ],
            stem=make_stem(space, kernels=kernels, norm=make),
            blocks=blocks,
            tail=Tail(space, kernels=kernels, norm=make),
        )
        channels_last_(network)
        return network

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits ``[N, classes]`` of images ``[N, C, H, W]``."""
        check_images(x, input_channels(self.stem))
        blocks = {arc: self.edges[name] for arc, name in self._names.items()}
        first = self.stem(x)
        last = propagate(self.space, self.arcs, first, blocks=blocks, merges=self.merges)
        logits: Tensor = self.tail(last)
        return logits

    def node_values(self, x: Tensor, nodes: Set[int]) -> dict[int, Tensor]:
        """Compute the values ``[N, C, H, W]`` of nodes, by their indices, of images."""
        check_images(x, input_channels(self.stem))
        blocks = {arc: self.edges[name] for arc, name in self._names.items()}
        values = node_values(
            self.arcs, self.stem(x), blocks=blocks, merges=self.merges, kept=set(nodes)
        )
        return {node: values[node] for node in nodes}


def input_channels(stem: nn.Module) -> int | None:
    """Return the channels of the images, None where the stem is another module than was built."""
    channels: int | None = getattr(getattr(stem, "convolution", None), "in_channels", None)
    return channels


def in_degrees(space: SearchSpace, arcs: tuple[Arc, ...]) -> list[int]:
    """Count the arcs that enter v2, v3, ..., in order."""
    counts = [0] * len(space.nodes)
    for arc in arcs:
        counts[arc.target] += 1
    return counts[1:]
