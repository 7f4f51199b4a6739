"""Architectures that begin alike, computed together: a trie over their genes.

A node's value depends on the genes of the edges that end at it or before it, and a choice block's
value on those of its source and on its own gene. Both are computed once for all architectures that
agree there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stnas.ops.linear_bottleneck import node_moments
from stnas.ops.reference import BatchNorm
from stnas.space import Edge
from stnas.supernet.layers import Merge, check_images
from stnas.supernet.norms import Bound, reset_statistics
from stnas.supernet.supernet import SuperNet
from stnas.supernet.topology import key

Norms = tuple[BatchNorm, ...]


@dataclass(frozen=True)
class Step:
    """One value: ``compute`` of the values at the positions ``inputs``, with BN state ``norms``.

    name: the module in a cut-out network. Position 0 holds the images. reads_moments: in training
    ``compute`` takes the moments of its input too.
    """

    name: str
    compute: Bound
    inputs: tuple[int, ...]
    norms: Norms
    reads_moments: bool = False


class Trie:
    """The distinct values of architectures ``[n, genes]``, in the order of a depth-first walk.

    Each step has BN statistics of its own, reset at first; they are those that any architecture
    through it would have alone. nodes: position of a node's value, by the genes up to it. edges:
    position of a choice block's value, by the genes up to its source, its edge and its gene.
    leaves: position of each architecture's last features. Equal architectures share a leaf.
    """

    def __init__(self, supernet: SuperNet, genotypes: NDArray[np.int8]) -> None:
        self.space = supernet.space
        self.supernet = supernet
        rows = self.space.check(genotypes)
        entering = groupby(self.space.edges, key=lambda edge: edge.target)
        self._entering = [(target, list(edges)) for target, edges in entering]
        self._ends = [0, *(edges[-1].index + 1 for _, edges in self._entering)]
        self.steps: list[Step] = []
        self.nodes: dict[bytes, int] = {}
        self.edges: dict[tuple[bytes, int, int], int] = {}
        tails: dict[bytes, int] = {}
        for row in rows[np.lexsort(rows.T[::-1])]:
            genes = row.tobytes()
            if genes not in tails:
                tails[genes] = self._add_path(genes)
        self.leaves = [tails[row.tobytes()] for row in rows]
        self._finished = self._last_uses()

    def _add_path(self, genes: bytes) -> int:
        """Append the steps of an architecture that are not there, and return the last one."""
        if not self.nodes:
            stem = self.supernet.stem
            self.nodes[b""] = self._add("stem", stem.bind(), (0,), stem.norms)
        for target, edges in self._entering:
            prefix = genes[: self._ends[target]]
            if prefix not in self.nodes:
                self.nodes[prefix] = self._add_node(target, edges, genes)
        last = self.nodes[genes[: self._ends[-1]]]
        features = self.supernet.tail.features
        return self._add("tail.features", features.bind(), (last,), features.norms)

    def _add_node(self, target: int, edges: list[Edge], genes: bytes) -> int:
        """Append a node, after the choice blocks that enter it; a lone value is the node's own."""
        present = [edge for edge in edges if edge.choices[genes[edge.index]].kind != "none"]
        entering = tuple(self._entering_value(edge, genes) for edge in present)
        merge, degree = self.supernet.merges[target - 1], len(entering)
        assert isinstance(merge, Merge)
        norms = merge.norms(degree)
        if degree == 1 and not norms:
            return entering[0]
        return self._add(f"merges.{target - 1}", merge.bind(degree), entering, norms)

    def _entering_value(self, edge: Edge, genes: bytes) -> int:
        """Return the position of an edge's value; append the choice block if it is not there."""
        source, gene = genes[: self._ends[edge.source]], genes[edge.index]
        if edge.choices[gene].kind == "identity":
            return self.nodes[source]
        place = (source, edge.index, gene)
        if place not in self.edges:
            block = self.supernet.block(edge, gene)
            name, inputs = f"edges.{key(edge)}", (self.nodes[source],)
            self.edges[place] = self._add(
                name, block.bind(), inputs, block.norms, reads_moments=block.reads_moments
            )
        return self.edges[place]

    def _add(
        self,
        name: str,
        compute: Bound,
        inputs: tuple[int, ...],
        layers: tuple[nn.BatchNorm2d, ...],
        *,
        reads_moments: bool = False,
    ) -> int:
        device = self.supernet.stem.convolution.weight.device
        norms = tuple(reset_statistics(layer, device=device) for layer in layers)
        self.steps.append(Step(name, compute, inputs, norms, reads_moments))
        return len(self.steps)

    def _last_uses(self) -> list[list[int]]:
        """List, for each step, the values that no later one reads."""
        last = {position: position for position in range(1, len(self.steps) + 1)}
        for position, step in enumerate(self.steps, start=1):
            last.update(dict.fromkeys(step.inputs, position))
        finished: list[list[int]] = [[] for _ in self.steps]
        for position, user in last.items():
            finished[user - 1].append(position)
        return finished

    def peak(self) -> int:
        """Return the most values that a walk holds at once, the images not counted."""
        held = most = 0
        for finished in self._finished:
            held += 1
            most = max(most, held)
            held -= sum(position > 0 for position in finished)
        return most

    def path(self, index: int) -> list[Step]:
        """List the steps that an architecture's value is made of, in order."""
        waiting, found = [self.leaves[index]], set[int]()
        while waiting:
            position = waiting.pop()
            if position > 0 and position not in found:
                found.add(position)
                waiting += self.steps[position - 1].inputs
        return [self.steps[position - 1] for position in sorted(found)]

    @torch.no_grad()
    def _walk(
        self, images: Tensor, *, training: bool, momentum: float
    ) -> Iterator[tuple[int, Tensor]]:
        """Compute every step and yield the leaves; a value is let go after its last use."""
        check_images(images, self.space)
        leaves = set(self.leaves)
        values, moments = {0: images}, dict[int, Tensor]()
        for position, step in enumerate(self.steps, start=1):
            inputs = [values[i] for i in step.inputs]
            known: dict[str, Tensor] = {}
            if training and step.reads_moments:
                source = step.inputs[0]
                if source not in moments:
                    moments[source] = node_moments(inputs[0])
                known["moments"] = moments[source]
            value = step.compute(
                *inputs, norms=step.norms, training=training, momentum=momentum, **known
            )
            if position in leaves:
                yield position, value
            values[position] = value
            for done in self._finished[position - 1]:
                del values[done]
                moments.pop(done, None)

    def observe_(self, images: Tensor, *, momentum: float) -> None:
        """Normalise by the batch ``[N, C, H, W]`` and move all statistics to it by momentum."""
        for _ in self._walk(images, training=True, momentum=momentum):
            pass

    def logits(self, images: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Yield each leaf with its logits ``[N, classes]``, normalised by the statistics."""
        classify = self.supernet.tail.classifier
        for leaf, features in self._walk(images, training=False, momentum=0.0):
            yield leaf, classify(features.mean((2, 3))).detach()
