"""What each level of sharing costs in a step of a search by gradients, levels in turn.

    python benchmarks/sharing_cost.py FILE.csv [--repeats 7] [--batch 16] [--shares drawn]

A row a family, way of sharing out and level: multiply-adds of an image through all candidates,
bytes that autograd keeps for the backward pass, and processor time of a step of the weights and of
one of alpha on one thread: medians, and the medians of the ratios to the level none of the same
turn. Ways are mixed (darts1, darts2, betadarts) and drawn (gdas: one candidate an edge, the same
for all levels of a turn, never none).
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
from stnas.supernet.mixture import Drawn, MixedNet, Shares, Soft
from stnas.train.gradient.gdas import straight


def batch_of(space: SearchSpace, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Make images and labels."""
    head = space.head
    images = torch.randn(size, head.in_channels, head.image_size, head.image_size)
    images = images.contiguous(memory_format=torch.channels_last)
    return images, torch.randint(head.num_classes, (size,))


def shared_out(alpha: torch.Tensor, drawn: list[int] | None) -> list[Shares]:
    """Return the shares of all candidates, or those of drawn ones, by row."""
    if drawn is None:
        return [Soft(row) for row in alpha]
    rows = zip(drawn, alpha.softmax(1), strict=True)
    return [Drawn(choice, straight(p, choice)) for choice, p in rows]


def seconds(net: MixedNet, shares: list[Shares], batch: tuple, of: list[torch.Tensor]) -> float:
    """Return the processor time of a step."""
    images, labels = batch
    begin = time.process_time()
    loss = functional.cross_entropy(net(images, shares), labels)
    torch.autograd.grad(loss, of, allow_unused=True)
    return time.process_time() - begin


def kept_bytes(net: MixedNet, shares: list[Shares], batch: tuple) -> int:
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
        functional.cross_entropy(net(images, shares), labels)
    return sum(found.values())


def measure(family: str, *, repeats: int, size: int, way: str) -> list[dict[str, object]]:
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
        picks = torch.randint(1, len(mixture.choices), (mixture.rows,)).tolist()
        drawn = picks if way == "drawn" else None
        for level, net in nets.items():
            shares = shared_out(alpha.detach(), drawn)
            weights = seconds(net, shares, batch, list(net.parameters()))
            own = seconds(net, shared_out(alpha, drawn), batch, [alpha])
            if turn:
                times[level].append((weights, own))
    rows = []
    for level, net in nets.items():
        pairs = list(zip(times[level], times["none"], strict=True))
        rows.append(
            {
                "family": family,
                "shares": way,
                "level": level,
                "batch": size,
                "madds": mixture.madds(level),
                "kept_bytes": kept_bytes(net, shared_out(alpha.detach(), drawn), batch),
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
    parser.add_argument("--shares", choices=("mixed", "drawn"), default="mixed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for family in ("nb201", "darts"):
        rows += measure(family, repeats=options.repeats, size=options.batch, way=options.shares)
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
