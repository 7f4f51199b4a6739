"""The shapes of the choice blocks that the profiles hold, and the work in each."""

from collections.abc import Iterator
from typing import NamedTuple

from stnas.space import SearchSpace
from stnas.space.topology import edges_of

BATCHES = {"micro": 64, "small": 64, "parity": 64, "imagenet": 16}


class Case(NamedTuple):
    """One block shape."""

    batch: int
    c_in: int
    c_out: int
    kernel: int
    expand: int
    stride: int
    resolution: int

    @property
    def flops(self) -> int:
        """Return 2 * MAdds of the forward pass."""
        hidden, out = self.c_in * self.expand, -(-self.resolution // self.stride)
        convolutions = hidden * (
            self.c_in * self.resolution**2 + (self.kernel**2 + self.c_out) * out**2
        )
        return 2 * self.batch * (convolutions + 2 * hidden * max(1, self.c_in // 4))

    @property
    def bytes(self) -> int:
        """Return the bytes that a forward pass must move: input, output, weights."""
        out = -(-self.resolution // self.stride)
        pixels = self.c_in * self.resolution**2 + self.c_out * out**2
        hidden = self.c_in * self.expand
        return 4 * (self.batch * pixels + hidden * (self.c_in + self.c_out + self.kernel**2))


def cases(profile: str) -> Iterator[Case]:
    """Yield every bottleneck of a profile's edges."""
    for edge in edges_of(SearchSpace.profile(profile)):
        for choice in edge.choices:
            if choice.kind == "bottleneck":
                yield Case(
                    BATCHES[profile], edge.in_channels, edge.out_channels, choice.kernel,
                    choice.expand, edge.stride, edge.in_resolution,
                )  # fmt: skip
