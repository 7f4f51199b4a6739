"""Architectures that begin alike, computed together: a trie over their genes.

A node's value depends on the genes of the edges that end at it or before it, and a choice block's
value on those of its source and on its own gene. Both are computed once for all architectures that
agree there.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stnas.ops.bound_block import BoundBlock
from stnas.ops.linear_bottleneck import node_moments, packed
from stnas.ops.reference import BatchNorm, BottleneckWeights
from stnas.space import Edge
from stnas.supernet.block import LinearBottleneck
from stnas.supernet.layers import ConvNormAct, Merge, check_images
from stnas.supernet.norms import reset_statistics
from stnas.supernet.supernet import SuperNet
from stnas.supernet.topology import key

Norms = tuple[BatchNorm, ...]


@dataclass(frozen=True)
class Step:
    """One value: ``compute`` of the values at the positions ``inputs``, with BN state ``norms``.

    name: the module in a cut-out network. compute: knows its norms; takes ``training`` and
    ``momentum`` too. Position 0 holds the images. reads_moments: in training ``compute`` takes the
    moments of its input as well.
    """

    name: str
    compute: Callable[..., Tensor]
    inputs: tuple[int, ...]
    norms: Norms
    reads_moments: bool = False


class Choice(NamedTuple):
    """A choice block as all of its steps use it. layers: its BN layers."""

    name: str
    block: LinearBottleneck
    weights: BottleneckWeights
    layers: tuple[nn.BatchNorm2d, ...]
    reads_moments: bool

    def bind(self, norms: Norms) -> Callable[..., Tensor]:
        """Return the block with BN state of its own, to be computed without gradients."""
        if self.block.compiled:
            first, second, third = norms
            return BoundBlock(self.weights, (first, second, third), self.block.options)
        return partial(self.block.bind(), norms=norms)


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
        rows = self.space.check(genotypes)
        entering = groupby(self.space.edges, key=lambda edge: edge.target)
        self._entering = [(target, list(edges)) for target, edges in entering]
        self._ends = [0, *(edges[-1].index + 1 for _, edges in self._entering)]
        self.steps: list[Step] = []
        self._choices: dict[tuple[int, int], Choice] = {}
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
            self.nodes[b""] = self._add("stem", self.supernet.stem, (0,))
        for target, edges in self._entering:
            prefix = genes[: self._ends[target]]
            if prefix not in self.nodes:
                self.nodes[prefix] = self._add_node(target, edges, genes)
        last = self.nodes[genes[: self._ends[-1]]]
        return self._add("tail.features", self.supernet.tail.features, (last,))

    def _add_node(self, target: int, edges: list[Edge], genes: bytes) -> int:
        """Append a node, after the choice blocks that enter it; a lone value is the node's own."""
        entering = []
        for edge in edges:
            kind = edge.choices[genes[edge.index]].kind
            if kind == "identity":
                entering.append(self.nodes[genes[: self._ends[edge.source]]])
            elif kind == "bottleneck":
                entering.append(self._entering_value(edge, genes))
        merge, degree = self.supernet.merges[target - 1], len(entering)
        assert isinstance(merge, Merge)
        layers = merge.norms(degree)
        if degree == 1 and not layers:
            return entering[0]
        norms = self._reset(layers)
        compute = partial(merge.bind(degree), norms=norms)
        return self._append(Step(f"merges.{target - 1}", compute, tuple(entering), norms))

    def _entering_value(self, edge: Edge, genes: bytes) -> int:
        """Return the position of a choice block's value; append it if it is not there."""
        source, gene = genes[: self._ends[edge.source]], genes[edge.index]
        place = (source, edge.index, gene)
        if place not in self.edges:
            choice, inputs = self._choice(edge, gene), (self.nodes[source],)
            norms = self._reset(choice.layers)
            step = Step(choice.name, choice.bind(norms), inputs, norms, choice.reads_moments)
            self.edges[place] = self._append(step)
        return self.edges[place]

    def _choice(self, edge: Edge, gene: int) -> Choice:
        found = self._choices.get((edge.index, gene))
        if found is None:
            block = self.supernet.block(edge, gene)
            name, weights = f"edges.{key(edge)}", packed(block.weights())
            found = Choice(name, block, weights, block.norms, block.reads_moments)
            self._choices[edge.index, gene] = found
        return found

    def _add(self, name: str, module: ConvNormAct, inputs: tuple[int, ...]) -> int:
        norms = self._reset(module.norms)
        return self._append(Step(name, partial(module.bind(), norms=norms), inputs, norms))

    def _reset(self, layers: tuple[nn.BatchNorm2d, ...]) -> Norms:
        """Return statistics of their own for BN layers."""
        return tuple(reset_statistics(layer, device=self._device) for layer in layers)

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
        for position, step in enumerate(self.steps, start=1):
            inputs = [values[i] for i in step.inputs]
            if training and step.reads_moments:
                source = step.inputs[0]
                if source not in moments:
                    moments[source] = node_moments(inputs[0])
                value = step.compute(*inputs, **state, moments=moments[source])
            else:
                value = step.compute(*inputs, **state)
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

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Yield each leaf with its logits ``[N, classes]``, normalised by the statistics."""
        classify = self.supernet.tail.classifier
        for leaf, features in self._walk(images, training=False, momentum=0.0):
            yield leaf, classify(features.mean((2, 3)))
