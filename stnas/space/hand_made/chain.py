"""Hand-made chains: of separable convolutions, of inverted residuals, of shuffle units."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, get_args

from stnas.config.retrain import Baseline
from stnas.space import recipe
from stnas.space.builder import SpaceBuilder
from stnas.space.hand_made.parts import Separable, ShuffleUnit
from stnas.space.macro.parts import InvertedResidual
from stnas.space.part import Part
from stnas.space.value import SearchSpace

KINDS: tuple[Baseline, ...] = tuple(own for own in get_args(Baseline) if own != "uniform_bits")
PROFILES: dict[str, "Spec"] = {}
"""Nobody searches these spaces, so none has a name of its own."""
EXPANSION = 6
"""Expansion of MobileNetV2's blocks behind the first."""
CLOSE = 0.02
"""Share of the MAdds by which networks of one size may differ."""


@dataclass(frozen=True)
class Spec:
    """A chain of ``blocks`` blocks a stage; behind the first stage each begins with stride 2.

    widths: channels per stage; the stem has those of the first.
    """

    kind: str
    widths: tuple[int, ...]
    blocks: int = 2
    stem_stride: int = 1
    tail_width: int = 64
    image_size: int = 28
    in_channels: int = 1
    num_classes: int = 10

    def __post_init__(self) -> None:
        """Check the kind; raise ValueError that names it."""
        if self.kind not in KINDS:
            raise ValueError(
                f"space.kind must be one of {', '.join(KINDS)}, got {self.kind!r}: correct the word"
            )

    @classmethod
    def from_json(cls, value: Any) -> "Spec":
        """Read what ``recipe.to_json`` wrote."""
        return recipe.from_json(cls, value)


def build(spec: Spec) -> SearchSpace:
    """Build the space of the one network of a description."""
    builder = SpaceBuilder(f"hand_made_{spec.kind}")
    size = -(-spec.image_size // spec.stem_stride)
    node = builder.stem(spec.widths[0], size, stride=spec.stem_stride)
    for stage, width in enumerate(spec.widths):
        for place in range(spec.blocks):
            stride = 2 if stage > 0 and place == 0 else 1
            name = f"block{len(builder.genes) + 1}"
            part = make(spec, builder, node, width, stride, first=not builder.genes)
            node = builder.choose(node, name, {spec.kind: part})
    return builder.build(
        tail=spec.tail_width,
        classes=spec.num_classes,
        channels=spec.in_channels,
        recipe={"family": "hand_made", **recipe.to_json(spec)},
        prefix="hm",
    )


def make(
    spec: Spec, builder: SpaceBuilder, node: int, width: int, stride: int, *, first: bool
) -> Part:
    """Make the part of a block that leads on from a node."""
    before, size = builder.width(node), builder.size(node)
    after = -(-size // stride)
    if spec.kind == "separable":
        return Separable(before, width, stride, after)
    if spec.kind == "shufflenet_v2":
        return ShuffleUnit(before, width, stride, size, after)
    expand = 1 if first else EXPANSION
    return InvertedResidual(before, width, 3, expand, stride, size, after)


def scaled(kind: Baseline, like: SearchSpace, madds: int) -> SearchSpace:
    """Build the hand-made network of a kind whose MAdds are within 2 % of a number, or nearest.

    It has the stem's stride, the sizes, the tail and the images of ``like``; its widths double
    from stage to stage but for what brings the MAdds near.
    """
    head = like.head
    stages = len({node.resolution for node in like.nodes})
    empty = Spec(
        kind,
        widths=(),
        stem_stride=head.stem_stride,
        tail_width=head.tail_width,
        image_size=head.image_size,
        in_channels=head.in_channels,
        num_classes=head.num_classes,
    )

    step = 2 if kind == "shufflenet_v2" else 1  # Its units cut the channels in halves.

    def network(scale: float, change: tuple[int, ...] = ()) -> SearchSpace:
        plain = [max(1, round(scale * 2**stage)) for stage in range(stages)]
        moved = zip(plain, change or (0,) * stages, strict=True)
        widths = tuple(step * max(1, width + more) for width, more in moved)
        return build(replace(empty, widths=widths))

    scale = fitting(lambda scale: cost(network(scale)), madds)

    def away(change: tuple[int, ...]) -> tuple[bool, int, int]:
        """Order by distance and, of those that are near enough, by what differs from doubling."""
        distance, far = abs(cost(network(scale, change)) - madds), sum(map(abs, change))
        near = distance <= CLOSE * madds
        return not near, far if near else distance, distance

    return network(scale, min(product((-1, 0, 1), repeat=stages), key=away))


def cost(space: SearchSpace) -> int:
    """Count the MAdds of a space's only network."""
    return int(space.madds([[0] * space.num_genes])[0])


def fitting(count: Callable[[float], int], madds: int) -> float:
    """Return the largest scale, to a thousandth, whose count is at most ``madds``; 0 at least."""
    low, high = 0.0, 1.0
    while count(high) <= madds:
        low, high = high, 2 * high
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if count(middle) <= madds else (low, middle)
    return low
