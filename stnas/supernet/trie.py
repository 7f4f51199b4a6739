"""Architectures that begin alike, computed together: a trie over their genes.

A node's value depends on the genes of the edges that end at it or before it, and a choice block's
value on those of its source and on its own gene. Both are computed once for all architectures that
agree there.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stnas.ops.bottleneck.block import node_moments
from stnas.space import Edge
from stnas.supernet.layers import Merge, check_images
from stnas.supernet.steps import Part, Step, block_part, layer_part, merge_part
from stnas.supernet.supernet import SuperNet


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
        self._device = supernet.stem.convolution.weight.device
        features = supernet.tail.features
        self._features = layer_part("tail.features", features, device=self._device)
        rows = self.space.check(genotypes)
        entering = groupby(self.space.edges, key=lambda edge: edge.target)
        self._entering = [(target, list(edges)) for target, edges in entering]
        self._ends = [0, *(edges[-1].index + 1 for _, edges in self._entering)]
        self.steps: list[Step] = []
        self._blocks: dict[tuple[int, int], Part] = {}
        self._merges: dict[tuple[int, int], Part] = {}
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
            stem = layer_part("stem", self.supernet.stem, device=self._device)
            self.nodes[b""] = self._append(stem.step((0,)))
        for target, edges in self._entering:
            prefix = genes[: self._ends[target]]
            if prefix not in self.nodes:
                self.nodes[prefix] = self._add_node(target, edges, genes)
        last = self.nodes[genes[: self._ends[-1]]]
        return self._append(self._features.step((last,)))

    def _add_node(self, target: int, edges: list[Edge], genes: bytes) -> int:
        """Append a node, after the choice blocks that enter it; a lone value is the node's own."""
        entering = []
        for edge in edges:
            kind = edge.choices[genes[edge.index]].kind
            if kind == "identity":
                entering.append(self.nodes[genes[: self._ends[edge.source]]])
            elif kind == "bottleneck":
                entering.append(self._entering_value(edge, genes))
        merge = self._merge(target, len(entering))
        if len(entering) == 1 and not merge.reset:
            return entering[0]
        return self._append(merge.step(tuple(entering)))

    def _entering_value(self, edge: Edge, genes: bytes) -> int:
        """Return the position of a choice block's value; append it if it is not there."""
        source, gene = genes[: self._ends[edge.source]], genes[edge.index]
        place = (source, edge.index, gene)
        if place not in self.edges:
            step = self._block(edge, gene).step((self.nodes[source],))
            self.edges[place] = self._append(step)
        return self.edges[place]

    def _block(self, edge: Edge, gene: int) -> Part:
        if (edge.index, gene) not in self._blocks:
            block = self.supernet.block(edge, gene)
            self._blocks[edge.index, gene] = block_part(edge, block, device=self._device)
        return self._blocks[edge.index, gene]

    def _merge(self, target: int, degree: int) -> Part:
        if (target, degree) not in self._merges:
            merge = self.supernet.merges[target - 1]
            assert isinstance(merge, Merge)
            self._merges[target, degree] = merge_part(target, merge, degree, device=self._device)
        return self._merges[target, degree]

    def _append(self, step: Step) -> int:
        self.steps.append(step)
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

    @torch.inference_mode()
    def _walk(
        self, images: Tensor, *, training: bool, momentum: float
    ) -> Iterator[tuple[int, Tensor]]:
        """Compute every step and yield the leaves; a value is let go after its last use."""
        check_images(images, self.space)
        leaves = set(self.leaves)
        state: dict[str, Any] = {"training": training, "momentum": momentum}
        values, moments = {0: images}, dict[int, Tensor]()
        steps = zip(self.steps, self._finished, strict=True)
        for position, ((_, compute, sources, _, reads_moments), finished) in enumerate(steps, 1):
            inputs = [values[source] for source in sources]
            if training and reads_moments:
                if sources[0] not in moments:
                    moments[sources[0]] = node_moments(inputs[0])
                value = compute(*inputs, **state, moments=moments[sources[0]])
            else:
                value = compute(*inputs, **state)
            if position in leaves:
                yield position, value
            values[position] = value
            for done in finished:
                del values[done]
                moments.pop(done, None)

    def observe_(self, images: Tensor, *, momentum: float) -> None:
        """Normalise by the batch ``[N, C, H, W]`` and move all statistics to it by momentum."""
        for _ in self._walk(images, training=True, momentum=momentum):
            pass

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Yield each leaf with its logits ``[N, classes]``, normalised by the statistics."""
        tail = self.supernet.tail
        for leaf, features in self._walk(images, training=False, momentum=0.0):
            yield leaf, tail.classifier(tail.pooled(features))
