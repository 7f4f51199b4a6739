"""The chain of choice blocks."""

from dataclasses import replace

from stnas.space.builder import SpaceBuilder
from stnas.space.part import Part
from stnas.space.spos.parts import ChoiceBlock, Shuffle, Xception
from stnas.space.spos.spec import Spec
from stnas.space.tilt import Tilt
from stnas.space.value import SearchSpace

KINDS = ("shuffle3", "shuffle5", "shuffle7", "xception")
"""The choices of every block, in gene order, which is that of the authors' tuples."""


def build(spec: Spec) -> SearchSpace:
    """Build the space of a description: one gene a block."""
    builder = SpaceBuilder("spos")
    size = -(-spec.image_size // spec.stem_stride)
    node = builder.stem(spec.stem_width, size, stride=spec.stem_stride)
    for width, count in zip(spec.widths, spec.stages, strict=True):
        for place in range(count):
            stride = 2 if place == 0 else 1
            blocks: dict[str, Part | None] = {
                kind: block(kind, builder.width(node), width, stride, builder.size(node))
                for kind in KINDS
            }
            node = builder.choose(node, f"block{len(builder.genes) + 1}", blocks)
    space = builder.build(
        tail=spec.tail_width,
        classes=spec.num_classes,
        channels=spec.in_channels,
        activation="relu",
        dropout=spec.dropout,
        bias=spec.bias,
        recipe=spec.to_json(),
        prefix="sp",
    )
    head = replace(space.head, image_size=spec.image_size)
    return replace(space, head=head, fingerprint=spec.fingerprint, prior=Tilt.of(space))


def block(kind: str, before: int, after: int, stride: int, size: int) -> ChoiceBlock:
    """Make the choice of a kind for ``before`` channels of ``size`` pixels a side."""
    shape = (before, after, stride, size, -(-size // stride), after // 2)
    if kind == "xception":
        return Xception(*shape)
    return Shuffle(*shape, kernel=int(kind.removeprefix("shuffle")))
