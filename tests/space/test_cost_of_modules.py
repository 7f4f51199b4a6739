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

    def __init__(self, space: SearchSpace, edge, operation) -> None:
        super().__init__()
        kernel, stride = operation.kernel, edge.stride
        hidden, squeeze = space.hidden_channels(edge, operation), space.se_width(edge)
        self.before = nn.Sequential(
            nn.Conv2d(edge.in_channels, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.Conv2d(hidden, hidden, kernel, stride, kernel // 2, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
        )
        self.gate = nn.Sequential(nn.Linear(hidden, squeeze), nn.Linear(squeeze, hidden))
        self.after = nn.Sequential(
            nn.Conv2d(hidden, edge.out_channels, 1, bias=False), nn.BatchNorm2d(edge.out_channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.before(x)
        out: Tensor = self.after(x * self.gate(x.mean((2, 3)))[:, :, None, None])
        return out


def ends(space: SearchSpace) -> nn.Module:
    """Build stem convolution and tail, joined by a pooling to the last node's resolution."""
    spec, first, last = space.spec, space.nodes[0], space.nodes[-1]
    return nn.Sequential(
        nn.Conv2d(spec.in_channels, first.width, 3, spec.stem_stride, 1, bias=False),
        nn.BatchNorm2d(first.width),
        nn.AdaptiveAvgPool3d((last.width, last.resolution, last.resolution)),
        nn.Conv2d(last.width, spec.tail_width, 1, bias=False),
        nn.BatchNorm2d(spec.tail_width),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(spec.tail_width, spec.num_classes),
    )


@pytest.mark.parametrize("name", SPACES)
def test_every_bottleneck_costs_what_the_table_says(name):
    space = SPACES[name]
    seen = set()
    for edge in space.edges:
        shape = (edge.in_channels, edge.in_resolution, edge.in_resolution)
        for choice, operation in enumerate(edge.choices):
            key = (*shape, edge.stride, edge.out_channels, operation)
            if operation.kind != "bottleneck" or key in seen:
                continue
            seen.add(key)
            block = Bottleneck(space, edge, operation)
            assert count_madds(block, shape) == space.madds_table[edge.index, choice]
            params = sum(p.numel() for p in block.parameters())
            assert params == space.params_table[edge.index, choice]


@pytest.mark.parametrize("name", SPACES)
def test_stem_and_tail_cost_what_the_space_says(name):
    space = SPACES[name]
    network = ends(space)
    size = space.spec.image_size
    assert count_madds(network, (space.spec.in_channels, size, size)) == space.fixed_madds
    assert sum(p.numel() for p in network.parameters()) == space.fixed_params
