"""The chain of blocks, each the identity or one of two inverted residuals."""

from dataclasses import dataclass, fields
from typing import Any

from stnas.space import recipe
from stnas.space.builder import SpaceBuilder
from stnas.space.macro.parts import InvertedResidual, Projection
from stnas.space.part import Part
from stnas.space.value import SearchSpace


@dataclass(frozen=True)
class Spec:
    """Fix everything that the networks share; the defaults are the published table's.

    stages: blocks per stage, the first of each with stride 2. widths: channels per stage. The
    candidates of a block are in gene order: identity, kernel 3 with expansion 3, kernel 5 with 6.
    """

    stages: tuple[int, ...] = (2, 3, 3)
    widths: tuple[int, ...] = (64, 128, 256)
    stem_width: int = 32
    tail_width: int = 1280
    image_size: int = 32
    in_channels: int = 3
    num_classes: int = 10

    def __post_init__(self) -> None:
        """Check the fields; raise ValueError or TypeError that names the key."""
        for field in fields(self):
            value = getattr(self, field.name)
            for item in value if isinstance(value, tuple) else (value,):
                recipe.check_size(field.name, item)
        recipe.check_widths(self.stages, self.widths)

    @classmethod
    def from_json(cls, value: Any) -> "Spec":
        """Read what ``recipe.to_json`` wrote."""
        return recipe.from_json(cls, value)


PROFILES = {
    "nas_bench_macro": Spec(),
    "nas_bench_macro_half": Spec(widths=(32, 64, 128), stem_width=16, tail_width=640),
}
"""The published space of 3^8 networks, and the same at half its width."""


def build(spec: Spec) -> SearchSpace:
    """Build the chain of a description."""
    builder = SpaceBuilder("nas_bench_macro")
    node = builder.stem(spec.stem_width, spec.image_size)
    for width, count in zip(spec.widths, spec.stages, strict=True):
        for place in range(count):
            stride = 2 if place == 0 else 1
            node = builder.choose(
                node,
                f"block{len(builder.genes) + 1}",
                candidates(builder.width(node), width, stride, builder.size(node)),
            )
    return builder.build(
        tail=spec.tail_width,
        classes=spec.num_classes,
        channels=spec.in_channels,
        activation="relu",
        dropout=0.0,
        recipe={"family": "nas_bench_macro", **recipe.to_json(spec)},
        prefix="mc",
    )


def candidates(before: int, after: int, stride: int, size: int) -> dict[str, Part | None]:
    """List the candidates of a block for ``before`` channels of ``size`` pixels a side."""
    out_size = -(-size // stride)
    same = stride == 1 and before == after
    shapes = {"k3e3": (3, 3), "k5e6": (5, 6)}
    return {
        "identity": None if same else Projection(before, after, stride, out_size),
        **{
            name: InvertedResidual(before, after, kernel, expand, stride, size, out_size)
            for name, (kernel, expand) in shapes.items()
        },
    }
