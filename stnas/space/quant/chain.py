"""The chain of residual blocks, and its cost in operations on bits."""

from dataclasses import replace

import numpy as np

from stnas.space.builder import Form, SpaceBuilder
from stnas.space.cost import AdditiveCost, summed
from stnas.space.graph import Arc
from stnas.space.part import Part
from stnas.space.quant.parts import QuantBlock
from stnas.space.quant.spec import Spec
from stnas.space.tilt import Tilt
from stnas.space.value import SearchSpace


def build(spec: Spec) -> SearchSpace:
    """Build the space of a description: one gene a block, the place of its pair of bits."""
    builder = SpaceBuilder("quant")
    size = -(-spec.image_size // spec.stem_stride)
    size = -(-size // 2) if spec.stem_pool else size
    node = builder.stem(spec.widths[0], size, stride=spec.stem_stride)
    for stage, (width, count) in enumerate(zip(spec.widths, spec.stages, strict=True)):
        for place in range(count):
            stride = 2 if stage > 0 and place == 0 else 1
            after = -(-builder.size(node) // stride)
            part = QuantBlock(builder.width(node), width, stride, after, spec.pairs)
            forms: dict[str, Part | Form | None] = {
                word: Form("block", part, option) for option, word in enumerate(spec.bits)
            }
            node = builder.choose(node, f"block{len(builder.genes) + 1}", forms)
    space = builder.build(
        tail=spec.widths[-1],
        classes=spec.num_classes,
        channels=spec.in_channels,
        activation="relu",
        dropout=spec.dropout,
        recipe=spec.to_json(),
        prefix="qb",
    )
    head = replace(
        space.head,
        image_size=spec.image_size,
        features="none",
        stem_kernel=spec.stem_kernel,
        stem_pool=spec.stem_pool,
    )
    bitops = bit_operations(space)
    prior = Tilt(tuple(bitops.rows()))
    return replace(
        space,
        head=head,
        fingerprint=spec.fingerprint,
        prior=prior,
        more_costs=(replace(bitops, prior=prior),),
    )


def bit_operations(space: SearchSpace) -> AdditiveCost:
    """Count BitOps, the sum over the blocks of multiply-adds times bits of weights times bits.

    First convolution and classifier, which stay float, are left out. With G = 2^30 it gives the
    paper's figures of ResNet-18 and ResNet-34 to the last digit.
    """

    def cost_of(arc: Arc) -> int:
        assert arc.part is not None
        part = space.parts[arc.part]
        assert isinstance(part, QuantBlock)
        weights, activations = part.bits[arc.option]
        madds = sum(layer.madds for layer in part.layers(arc.option).values())
        return madds * weights * activations

    return summed("bitops", "BitOps", genes=space.genes, arcs=space.arcs, fixed=0, cost_of=cost_of)


def uniform(like: SearchSpace, bitops: int) -> SearchSpace:
    """Build the network of ``like`` with one number of bits everywhere, nearest to a cost.

    Weights and activations have k bits, so BitOps are k^2 times the multiply-adds of the blocks;
    of those at most ``bitops`` the largest k, and 1 where there is none.
    """
    spec = Spec.from_json({name: own for name, own in like.recipe.items() if name != "family"})
    one = build(replace(spec, bits=("w1a1",)))
    base = int(one.costs["bitops"](np.zeros((1, one.num_genes), np.int8))[0])
    bits = max((k for k in range(1, 9) if k * k * base <= bitops), default=1)
    return build(replace(spec, bits=(f"w{bits}a{bits}",)))
