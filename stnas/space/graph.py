"""Nodes, arcs and genes: what a search space is made of."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from stnas.config.space import Activation, Merge
from stnas.space.part import Layer

Join = Merge | Literal["concat"]
"""How arcs join in a node."""


@dataclass(frozen=True)
class Node:
    """One feature map ``[N, width, resolution, resolution]``; index counts from 0.

    join: how the arcs that enter it become its value: ``sum``, ``mean``, ``shadow``, the sum
    with one BN for each number of entering arcs, or ``concat``, side by side.
    """

    index: int
    stage: int
    width: int
    resolution: int
    join: Join = "sum"

    @property
    def name(self) -> str:
        """Return the name used in texts, which counts from 1."""
        return f"v{self.index + 1}"


class Arc(NamedTuple):
    """One way from a node to another: a part, or the identity where ``part`` is None.

    part: key in ``SearchSpace.parts``; arcs with equal keys share weights. option: form of a shared
    part. when: pairs (gene, choice) that all must hold; without any the arc is always there.
    """

    source: int
    target: int
    part: str | None = None
    option: int = 0
    when: tuple[tuple[int, int], ...] = ()


def owner(arc: Arc) -> tuple[int, ...]:
    """Return the genes that decide about an arc; an arc that is always there has its ends."""
    return tuple(gene for gene, _ in arc.when) or (-1, arc.source, arc.target)


@dataclass(frozen=True)
class Gene:
    """One decision: the names of its choices, whose numbers are the gene's values.

    optional: choice 0 leaves something out, which samplers do with the probability p_drop.
    """

    name: str
    choices: tuple[str, ...]
    optional: bool = False

    @property
    def operations(self) -> int:
        """Return the number of choices that leave nothing out."""
        return len(self.choices) - self.optional


@dataclass(frozen=True)
class Head:
    """Both ends of every network: images, the stem convolution, and the tail behind the last node.

    The tail is a 1x1 convolution to ``tail_width`` channels, BN, activation, the mean over the
    pixels, dropout and a linear classifier, with a ``bias`` or without. features: ``convolution``,
    or ``norm``, where BN and activation come without it, or ``none``, where the last node is
    pooled. stem_activation: that of the stem where it is another. stem_kernel: side of its
    convolution. stem_pool: whether 3x3 max pooling with stride 2 follows it.
    """

    in_channels: int
    image_size: int
    num_classes: int
    stem_stride: int
    tail_width: int
    activation: Activation = "relu6"
    dropout: float = 0.2
    bias: bool = True
    features: Literal["convolution", "norm", "none"] = "convolution"
    stem_activation: Activation | Literal["identity"] | None = None
    stem_kernel: int = 3
    stem_pool: bool = False

    def layers(self, first: Node, last: Node) -> dict[str, Layer]:
        """Count the layers that every network has, affine BN and the classifier's bias included."""
        stem, tail = self.stem_kernel**2 * self.in_channels * first.width, last.width
        tail *= self.tail_width * (self.features == "convolution")
        size = -(-self.image_size // self.stem_stride) if self.stem_pool else first.resolution
        classifier = self.tail_width * self.num_classes
        layers = {
            "stem": Layer(stem * size**2, stem + 2 * first.width),
            "tail": Layer(tail * last.resolution**2, tail + 2 * self.tail_width),
            "classifier": Layer(classifier, classifier + self.bias * self.num_classes),
        }
        if self.features == "none":
            del layers["tail"]
        return layers
