"""A cost of one's own: the bytes that the blocks move, in place of multiply-adds.

    stnas run --space.factory examples.own_cost:chain --search.cost traffic --run runs/traffic \\
        --data.path embedded --search.bounds "[params<=6000]"

The search then minimises it beside the loss, and ``search.limits`` are kilobytes of an image.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import stnas
from examples.own_space import Conv

KERNELS = (1, 3, 5)


@dataclass(frozen=True, eq=False)
class Traffic:
    """Kilobytes read and written for an image: ``table[gene, choice]`` summed over the genes.

    Any function of genotypes ``[n, genes]`` that returns ``[n]`` numbers will do.
    """

    table: NDArray[np.float64]
    name: str = "traffic"
    unit: str = "kB"

    def __call__(self, genotypes: NDArray[np.int8]) -> NDArray[np.float64]:
        """Return the costs ``[n]``."""
        return self.table[np.arange(len(self.table)), genotypes].sum(axis=1)


def kilobytes(part: Conv | None) -> float:
    """Count input, weights and result of a block, as float32; the identity moves nothing."""
    if part is None:
        return 0.0
    weights = part.kernel**2 * part.in_channels * part.out_channels
    after = -(-part.size // part.stride)
    pixels = part.in_channels * part.size**2 + part.out_channels * after**2
    return 4 * (pixels + weights) / 1000


def chain(image_size: int, in_channels: int, num_classes: int) -> stnas.SearchSpace:
    """Build a chain of convolutions that knows its traffic."""
    builder, rows = stnas.SpaceBuilder("chain_with_traffic"), []
    node = builder.stem(8, -(-image_size // 2), stride=2)
    for i, (width, stride) in enumerate([(8, 1), (16, 2), (16, 1), (24, 2), (24, 1)]):
        before, size = builder.width(node), builder.size(node)
        choices: dict[str, Conv | None] = {
            f"k{k}": Conv(before, width, k, size, stride) for k in KERNELS
        }
        choices |= {"skip": None} if stride == 1 and before == width else {}
        node = builder.choose(node, f"b{i}", choices)
        row = [kilobytes(part) for part in choices.values()]
        rows.append(row + [0.0] * (len(KERNELS) + 1 - len(row)))
    costs = (Traffic(np.array(rows)),)
    return builder.build(tail=32, classes=num_classes, channels=in_channels, costs=costs)
