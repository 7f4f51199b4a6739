"""What each level of sharing costs in a step of a search by gradients, levels in turn.

    python benchmarks/sharing_cost.py FILE.csv [--repeats 7] [--batch 16]

A row a family and level: multiply-adds of an image in the hyper-network, bytes that autograd keeps
for the backward pass, and processor time of a step of the weights and of one of alpha on one
thread: medians, and the medians of the ratios to the level none of the same turn.
"""

import argparse
import csv
import json
import time
from statistics import median

import torch
from torch.nn import functional

from stnas.space import SearchSpace
from stnas.store.machine import processor
from stnas.supernet.mixture import MixedNet, Soft


def batch_of(space: SearchSpace, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Make images and labels."""
    head = space.head
    images = torch.randn(size, head.in_channels, head.image_size, head.image_size)
    images = images.contiguous(memory_format=torch.channels_last)
    return images, torch.randint(head.num_classes, (size,))


def gradients(net: MixedNet, alpha: torch.Tensor, batch: tuple, of: list[torch.Tensor]) -> None:
    """Compute the gradients of a loss."""
    images, labels = batch
    loss = functional.cross_entropy(net(images, [Soft(row) for row in alpha]), labels)
    torch.autograd.grad(loss, of, allow_unused=True)


def seconds(net: MixedNet, alpha: torch.Tensor, batch: tuple, of: list[torch.Tensor]) -> float:
    """Return the processor time of a step."""
    begin = time.process_time()
    gradients(net, alpha, batch, of)
    return time.process_time() - begin


def kept_bytes(net: MixedNet, alpha: torch.Tensor, batch: tuple) -> int:
    """Return the bytes that a step of the weights keeps, each storage once, without the weights."""
    own = {weight.untyped_storage().data_ptr() for weight in net.parameters()}
    found: dict[int, int] = {}

    def keep(value: torch.Tensor) -> torch.Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = storage.nbytes()
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        images, labels = batch
        functional.cross_entropy(net(images, [Soft(row) for row in alpha]), labels)
    return sum(found.values())


def measure(family: str, *, repeats: int, size: int) -> list[dict[str, object]]:
    """Measure all levels of a family in turn."""
    space = SearchSpace.profile("micro", family=family)
    mixture = space.mixture
    assert mixture is not None
    torch.manual_seed(0)
    nets = {
        level: MixedNet(space, level=level, normalise=level in mixture.levels[2:])
        for level in mixture.levels
    }
    alpha = (1e-3 * torch.randn(mixture.rows, len(mixture.choices))).requires_grad_()
    batch, times = batch_of(space, size), {level: [] for level in nets}
    for turn in range(repeats + 1):
        for level, net in nets.items():
            weights = seconds(net, alpha.detach(), batch, list(net.parameters()))
            own = seconds(net, alpha, batch, [alpha])
            if turn:
                times[level].append((weights, own))
    rows = []
    for level, net in nets.items():
        pairs = list(zip(times[level], times["none"], strict=True))
        rows.append(
            {
                "family": family,
                "level": level,
                "batch": size,
                "madds": mixture.madds(level),
                "kept_bytes": kept_bytes(net, alpha.detach(), batch),
                "weights_ms": round(1e3 * median(own[0] for own, _ in pairs), 2),
                "weights_ratio": round(median(own[0] / none[0] for own, none in pairs), 3),
                "alpha_ms": round(1e3 * median(own[1] for own, _ in pairs), 2),
                "alpha_ratio": round(median(own[1] / none[1] for own, none in pairs), 3),
            }
        )
    return rows


def main() -> None:
    """Measure both families and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--batch", type=int, default=16)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for family in ("nb201", "darts"):
        rows += measure(family, repeats=options.repeats, size=options.batch)
        for row in rows[-5:]:
            print(row)
    facts = {"command": "python benchmarks/sharing_cost.py", "processor": processor()}
    with open(options.file, "w", newline="") as file:
        file.write(f"# {json.dumps({**facts, 'threads': 1, 'torch': torch.__version__})}\n")
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
