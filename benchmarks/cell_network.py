"""Time a training step of networks of ``darts`` beside eager PyTorch (NCHW, NHWC).

    OMP_WAIT_POLICY=PASSIVE python benchmarks/cell_network.py

Networks drawn at random, as retraining trains them, with affine BN and running statistics: forward,
backward and the step of SGD, all forms in turn in one process; medians of the processor's time in
ms, with wall time beside it, and geometric means of the factors.
"""

import argparse
from functools import partial

import torch
from record import machine, save
from shuffle_block import Row, Step, factors, medians, steps_of
from torch.nn import functional

from stnas.config import Kernels
from stnas.space import Genotype, SearchSpace
from stnas.supernet import Network

BATCHES = (16, 64)
SIDE = 32
"""Pixels of an image."""


def make_step(
    kernels: Kernels, *, space: SearchSpace, row: Genotype, batch: int, nhwc: bool
) -> Step:
    """Return one step of training on images drawn at random."""
    torch.manual_seed(0)
    network = Network.build(space, row, kernels=kernels)
    layout = torch.channels_last if nhwc else torch.contiguous_format
    if not nhwc:
        for parameter in network.parameters():
            parameter.data = parameter.data.contiguous()
    head = space.head
    images = torch.randn(batch, head.in_channels, SIDE, SIDE).contiguous(memory_format=layout)
    labels = torch.randint(head.num_classes, (batch,))
    optimiser = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9)

    def step() -> None:
        optimiser.zero_grad()
        functional.cross_entropy(network(images), labels).backward()
        optimiser.step()

    return step


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--profile", default="micro")
    parser.add_argument("--networks", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    space = SearchSpace.profile(options.profile, family="darts")
    rows: list[Row] = []
    for row in space.sample(options.networks, p_drop=0.5, seed=0):
        for batch in BATCHES:
            make = partial(make_step, space=space, row=row, batch=batch)
            steps = steps_of(make, "fused", "reference", compiled=False)
            times = medians(steps, rounds=options.rounds, seconds=0.3)
            rows.append({"network": space.format(row), "batch": batch, **times})
            print(rows[-1], flush=True)
    for batch in BATCHES:
        print(f"batch {batch}", factors([r for r in rows if r["batch"] == batch]), sep="  ")
    save("cell_network", rows, machine() | {"unit": "ms of processor time, and of wall time"})


if __name__ == "__main__":
    main()
