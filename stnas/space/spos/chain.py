"""The chain of choice blocks."""

from dataclasses import replace
from functools import partial

from stnas.space.builder import Form, SpaceBuilder
from stnas.space.part import Part
from stnas.space.spos.parts import ChoiceBlock, Shuffle, Xception
from stnas.space.spos.scales import KINDS, read_tuples, scaled
from stnas.space.spos.spec import Spec
from stnas.space.tilt import Tilt
from stnas.space.value import SearchSpace


def build(spec: Spec) -> SearchSpace:
    """Build the space of a description: one gene a block, ``kind * scales + scale``."""
    builder = SpaceBuilder("spos")
    size = -(-spec.image_size // spec.stem_stride)
    node = builder.stem(spec.stem_width, size, stride=spec.stem_stride)
    for width, count in zip(spec.widths, spec.stages, strict=True):
        for place in range(count):
            stride = 2 if place == 0 else 1
            shape = (builder.width(node), width, stride, builder.size(node))
            name = f"block{len(builder.genes) + 1}"
            node = builder.choose(node, name, choices(*shape, scales=spec.scales))
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
    space = replace(space, head=head, fingerprint=spec.fingerprint, prior=Tilt.of(space))
    if not spec.scales:
        return space
    reader = partial(read_tuples, blocks=len(space.genes), scales=spec.scales)
    return replace(space, reader=reader)


def choices(
    before: int, after: int, stride: int, size: int, *, scales: tuple[int, ...]
) -> dict[str, Part | Form | None]:
    """Return the choices of a block: the kinds, or each kind at each scale of its inner channels.

    The forms of a kind share its weights: ``shuffle3x0.8`` is that with 8 tenths of the channels.
    """
    made = {kind: block(kind, before, after, stride, size, scales=scales) for kind in KINDS}
    if not scales:
        return {**made}
    return {
        f"{kind}x{tenths / 10:g}": Form(kind, part, option)
        for kind, part in made.items()
        for option, tenths in enumerate(scales)
    }


def block(
    kind: str, before: int, after: int, stride: int, size: int, *, scales: tuple[int, ...] = ()
) -> ChoiceBlock:
    """Make the choice of a kind for ``before`` channels of ``size`` pixels a side.

    scales: tenths of its inner channels, after / 2, that it has forms for.
    """
    mids = tuple(scaled(after // 2, tenths) for tenths in scales)
    shape = (before, after, stride, size, -(-size // stride), mids[-1] if mids else after // 2)
    if kind == "xception":
        return Xception(*shape, mids=mids)
    return Shuffle(*shape, mids=mids, kernel=int(kind.removeprefix("shuffle")))
