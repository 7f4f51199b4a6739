"""The cost tables against PyTorch modules: what its counter and its parameter lists say."""

import pytest
from torch import Tensor, nn

from stnas.ops.flops import count_madds
from stnas.space import SearchSpace

SPACES = {
    "nano": SearchSpace.profile("nano"),
    "odd image": SearchSpace.profile("nano", image_size=29, in_channels=1, num_classes=7),
    "micro": SearchSpace.profile("micro", image_size=16),
    "imagenet": SearchSpace.profile("imagenet", kernels=(7,), expands=(1, 6)),
}


class Bottleneck(nn.Module):
    """The choice block in plain modules."""

    def __init__(self, part) -> None:
        super().__init__()
        kernel, stride, hidden, squeeze = part.kernel, part.stride, part.hidden, part.squeeze
        self.before = nn.Sequential(
            nn.Conv2d(part.in_channels, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.Conv2d(hidden, hidden, kernel, stride, kernel // 2, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
        )
        self.gate = nn.Sequential(nn.Linear(hidden, squeeze), nn.Linear(squeeze, hidden))
        self.after = nn.Sequential(
            nn.Conv2d(hidden, part.out_channels, 1, bias=False), nn.BatchNorm2d(part.out_channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.before(x)
        out: Tensor = self.after(x * self.gate(x.mean((2, 3)))[:, :, None, None])
        return out


def ends(space: SearchSpace) -> nn.Module:
    """Build stem convolution and tail, joined by a pooling to the last node's resolution."""
    head, first, last = space.head, space.nodes[0], space.nodes[-1]
    return nn.Sequential(
        nn.Conv2d(head.in_channels, first.width, 3, head.stem_stride, 1, bias=False),
        nn.BatchNorm2d(first.width),
        nn.AdaptiveAvgPool3d((last.width, last.resolution, last.resolution)),
        nn.Conv2d(last.width, head.tail_width, 1, bias=False),
        nn.BatchNorm2d(head.tail_width),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(head.tail_width, head.num_classes),
    )


@pytest.mark.parametrize("name", SPACES)
def test_every_bottleneck_costs_what_the_table_says(name):
    space = SPACES[name]
    seen = set()
    for arc in space.arcs:
        part = None if arc.part is None else space.parts[arc.part]
        if part is None or part in seen:
            continue
        seen.add(part)
        (gene, choice), block = arc.when[0], Bottleneck(part)
        shape = (part.in_channels, part.in_size, part.in_size)
        assert count_madds(block, shape) == space.madds_cost.table[gene, choice]
        params = sum(p.numel() for p in block.parameters())
        assert params == space.params_cost.table[gene, choice]


@pytest.mark.parametrize("name", SPACES)
def test_stem_and_tail_cost_what_the_space_says(name):
    space = SPACES[name]
    network = ends(space)
    size = space.head.image_size
    assert count_madds(network, (space.head.in_channels, size, size)) == space.madds_cost.fixed
    assert sum(p.numel() for p in network.parameters()) == space.params_cost.fixed
