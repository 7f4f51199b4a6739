"""Architectures that have parts in common, computed together.

A value is named by what makes it: a block's by its part, its form and its input, a node's by what
enters it. Each is computed once for all architectures that have it.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stnas.ops.bottleneck.block import node_moments
from stnas.space import Arc, Genotypes
from stnas.space.description import arc_names
from stnas.supernet.layers import Merge, check_images
from stnas.supernet.supernet import SuperNet
from stnas.supernet.together.values import (
    Producer,
    Value,
    block_producer,
    layer_producer,
    merge_producer,
)


class Trie:
    """The distinct values of architectures ``[n, genes]``, in the order of a depth-first walk.

    Each has BN statistics of its own, reset at first; they are those that any architecture through
    it would have alone. values: in the order in which they are computed; positions count from 1,
    0 holds the images. known: position of each value by its name. leaves: position of each
    architecture's last features. Equal architectures share a leaf.
    """

    def __init__(self, supernet: SuperNet, genotypes: Genotypes) -> None:
        self.space = supernet.space
        self.supernet = supernet
        self._device = supernet.stem.convolution.weight.device
        rows = self.space.check(genotypes)
        self.values: list[Value] = []
        self.known: dict[tuple[Any, ...], int] = {}
        self._producers: dict[tuple[Any, ...], Producer] = {}
        tails: dict[bytes, int] = {}
        for row in rows[np.lexsort(rows.T[::-1])]:
            genes = row.tobytes()
            if genes not in tails:
                tails[genes] = self._add_path(self.space.arcs_of(row))
        self.leaves = [tails[row.tobytes()] for row in rows]
        self._finished = self._last_uses()

    def _add_path(self, arcs: tuple[Arc, ...]) -> int:
        """Append the values of an architecture that are not there, and return the last one."""
        nodes = {0: self._value(("stem",), (0,))}
        names = dict(arc_names(self.space, arcs))
        for target, entering in groupby(arcs, key=lambda arc: arc.target):
            inputs = []
            for arc in entering:
                source = nodes[arc.source]
                if arc.part is not None:
                    source = self._value(("edges", names[arc], arc.part, arc.option), (source,))
                inputs.append(source)
            nodes[target] = self._node(target, tuple(inputs))
        return self._value(("tail",), (nodes[len(self.space.nodes) - 1],))

    def _node(self, target: int, inputs: tuple[int, ...]) -> int:
        """Return the position of a node's value; a lone value is the node's own."""
        name = ("merges", target, len(inputs))
        if len(inputs) == 1 and not self._producer(name).reset:
            return inputs[0]
        return self._value(name, inputs)

    def _value(self, name: tuple[Any, ...], inputs: tuple[int, ...]) -> int:
        """Return the position of a value; append it if it is not there."""
        place = (*name, *inputs)
        if place not in self.known:
            self.values.append(self._producer(name).value(inputs))
            self.known[place] = len(self.values)
        return self.known[place]

    def _producer(self, name: tuple[Any, ...]) -> Producer:
        if name not in self._producers:
            self._producers[name] = self._make_producer(*name)
        return self._producers[name]

    def _make_producer(self, kind: str, *which: Any) -> Producer:
        """Bind the module of a name: ``stem``, ``tail``, a node's merge, or a part's block."""
        supernet, device = self.supernet, self._device
        if kind == "stem":
            return layer_producer("stem", supernet.stem, device=device)
        if kind == "tail":
            return layer_producer("tail.features", supernet.tail.features, device=device)
        if kind == "merges":
            target, degree = which
            merge = supernet.merges[target - 1]
            assert isinstance(merge, Merge)
            return merge_producer(target, merge, degree, device=device)
        name, key, option = which
        return block_producer(f"edges.{name}", supernet.block(key), option, device=device)

    def _last_uses(self) -> list[list[int]]:
        """List, for each value, those that no later one reads."""
        last = {position: position for position in range(1, len(self.values) + 1)}
        for position, value in enumerate(self.values, start=1):
            last.update(dict.fromkeys(value.inputs, position))
        finished: list[list[int]] = [[] for _ in self.values]
        for position, user in last.items():
            finished[user - 1].append(position)
        return finished

    def path(self, index: int) -> list[Value]:
        """List the values that an architecture is made of, in order."""
        waiting, found = [self.leaves[index]], set[int]()
        while waiting:
            position = waiting.pop()
            if position > 0 and position not in found:
                found.add(position)
                waiting += self.values[position - 1].inputs
        return [self.values[position - 1] for position in sorted(found)]

    @torch.inference_mode()
    def _walk(
        self, images: Tensor, *, training: bool, momentum: float
    ) -> Iterator[tuple[int, Tensor]]:
        """Compute every value and yield the leaves; one is let go after its last use."""
        check_images(images, self.space.head.in_channels)
        leaves = set(self.leaves)
        state: dict[str, Any] = {"training": training, "momentum": momentum}
        held, moments = {0: images}, dict[int, Tensor]()
        order = zip(self.values, self._finished, strict=True)
        for position, ((_, compute, sources, _, reads_moments), finished) in enumerate(order, 1):
            inputs = [held[source] for source in sources]
            if training and reads_moments:
                if sources[0] not in moments:
                    moments[sources[0]] = node_moments(inputs[0])
                value = compute(*inputs, **state, moments=moments[sources[0]])
            else:
                value = compute(*inputs, **state)
            if position in leaves:
                yield position, value
            held[position] = value
            for done in finished:
                del held[done]
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
