"""The hyper-network."""

import copy
from collections import defaultdict
from functools import partial
from typing import Any

from torch import Tensor, nn

from stnas.config import Kernels
from stnas.ops.slices import Slice
from stnas.space import Genotype, SearchSpace
from stnas.space.graph import owner
from stnas.supernet.blocks import build
from stnas.supernet.layers import Merge, Tail, channels_last_, check_images, make_stem
from stnas.supernet.network import Network, in_degrees
from stnas.supernet.norms import norm, track_statistics_
from stnas.supernet.walk import propagate


class SuperNet(nn.Module):
    """The hyper-network: the block of every part, with weights that paths share.

    Its BN layers use the statistics of the batch and keep none; networks cut out with ``extract``
    keep their own. Weights are drawn from torch's global generator.
    """

    def __init__(
        self, space: SearchSpace, *, affine: bool = False, kernels: Kernels = "fused"
    ) -> None:
        super().__init__()
        self.space = space
        make = partial(norm, affine=affine, tracked=False)
        self.stem = make_stem(space, kernels=kernels, norm=make)
        self.blocks = nn.ModuleDict()
        self._parts = dict[str, nn.Module]()
        for key, part in space.parts.items():
            self._parts[key] = build(part, kernels=kernels, norm=make)
            _place(self.blocks, key, self._parts[key])
        self.merges = nn.ModuleList(
            Merge(node, degrees=range(1, most + 1), norm=make)
            for node, most in zip(space.nodes[1:], most_degrees(space), strict=True)
        )
        self.tail = Tail(space, kernels=kernels, norm=make)
        channels_last_(self)
        owners = {
            id(p): f"blocks.{key}" for key, own in self._parts.items() for p in own.parameters()
        }
        self._numbers = defaultdict[str, list[int]](list)
        self._number = dict[str, int]()
        for number, (name, parameter) in enumerate(self.named_parameters()):
            self._numbers[owners.get(id(parameter), name.partition(".")[0])].append(number)
            self._number[name] = number
        self._sliced = {key for key, own in self._parts.items() if hasattr(own, "slices")}

    def block(self, key: str) -> nn.Module:
        """Return the block of a part."""
        return self._parts[key]

    def active_parameters(self, genotype: Genotype) -> list[int]:
        """Number the parameters that training an architecture moves, as ``parameters()`` does."""
        arcs = self.space.arcs_of(self.space.check_row(genotype))
        blocks = dict.fromkeys(f"blocks.{arc.part}" for arc in arcs if arc.part is not None)
        return [i for part in ("stem", *blocks, "merges", "tail") for i in self._numbers[part]]

    def active_slices(self, genotype: Genotype) -> dict[int, Slice]:
        """Return what an architecture uses of parameters that it does not use whole, by number.

        A block with ``slices(option)`` says it, by the names of its parameters.
        """
        if not self._sliced:
            return {}
        found: dict[int, Slice] = {}
        for arc in self.space.arcs_of(self.space.check_row(genotype)):
            if arc.part in self._sliced:
                block: Any = self._parts[arc.part]
                for name, used in block.slices(arc.option).items():
                    found[self._number[f"blocks.{arc.part}.{name}"]] = used
        return found

    def forward(self, x: Tensor, genotype: Genotype, *, option: int | None = None) -> Tensor:
        """Compute the logits ``[N, classes]`` of images ``[N, C, H, W]`` along one architecture.

        genotype: int8 ``[genes]``. option: form that every block takes instead of its own. Only
        the blocks of this architecture are computed and get gradients.
        """
        check_images(x, self.space.head.in_channels)
        arcs = self.space.arcs_of(self.space.check_row(genotype))
        if option is not None:
            arcs = tuple(arc._replace(option=option) for arc in arcs)
        blocks = {arc: self._parts[arc.part] for arc in arcs if arc.part is not None}
        last = propagate(self.space, arcs, self.stem(x), blocks=blocks, merges=self.merges)
        logits: Tensor = self.tail(last)
        return logits

    def extract(self, genotype: Genotype) -> Network:
        """Cut out the network of a genotype.

        It holds the very parameters of the hyper-network (``copy.deepcopy`` of the result is
        independent) and BN statistics of its own, which are reset.
        """
        genotype = self.space.check_row(genotype)
        arcs = self.space.arcs_of(genotype)
        shared = {id(parameter): parameter for parameter in self.parameters()}
        keys = dict.fromkeys(arc.part for arc in arcs if arc.part is not None)
        degrees = in_degrees(self.space, arcs)
        network = Network(
            self.space,
            genotype,
            stem=copy.deepcopy(self.stem, dict(shared)),
            blocks={key: copy.deepcopy(self._parts[key], dict(shared)) for key in keys},
            merges=[
                copy.deepcopy(merge, dict(shared)).keep_(degree)
                for merge, degree in zip(self.merges.children(), degrees, strict=True)
                if isinstance(merge, Merge)
            ],
            tail=copy.deepcopy(self.tail, dict(shared)),
        )
        track_statistics_(network)
        return network


def most_degrees(space: SearchSpace) -> list[int]:
    """Count the arcs that can enter v2, v3, ... at once, in order: one of each gene."""
    ways: dict[int, set[tuple[int, ...]]] = defaultdict(set)
    for arc in space.arcs:
        ways[arc.target].add(owner(arc))
    return [len(ways[node.index]) for node in space.nodes[1:]]


def _place(tree: nn.ModuleDict, key: str, module: nn.Module) -> None:
    """Put a module into nested dictionaries: the key ``3.k3e6`` is ``tree["3"]["k3e6"]``.

    Past the dictionaries' own check, which refuses names such as ``half`` that modules have too.
    """
    first, _, rest = key.partition(".")
    if not rest:
        tree._modules[first] = module
        return
    inner = tree._modules.setdefault(first, nn.ModuleDict())
    assert isinstance(inner, nn.ModuleDict)
    _place(inner, rest, module)
