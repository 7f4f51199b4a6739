"""What each level of sharing costs in a step of every search by gradients, levels in turn.

    python benchmarks/sharing_cost.py FILE.csv [--repeats 7] [--batch 16] [--strategies darts1 ...]

A row a family, strategy, kind of kernels (``reference`` is eager PyTorch) and level: multiply-adds
of an image through the hyper-network; bytes that autograd keeps for the backward pass of the
weights, and the most bytes of tensors that live at once in a step beside weights and images;
processor time of a step of the weights and of one of the architecture on one thread, the optimiser
in it: medians, and the medians of the ratios to the level none of eager PyTorch in the same turn.
The steps are those of ``stnas train``, on images of noise; the C library gives freed pages back
between them unless told otherwise (``--keep-pages``). The table grows by a strategy at a time.
"""

import argparse
import csv
import json
import sys
import tempfile
import time
import weakref
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from stnas.config import Config, DataConfig, Kernels, SharingConfig, SpaceConfig, TrainConfig
from stnas.config.sharing import Level
from stnas.data.epochs import Batch
from stnas.learn.heap import keep_pages
from stnas.learn.task import prepare, shared_space
from stnas.store.machine import processor
from stnas.train.gradient import Bilevel, make

FAMILIES = ("nb201", "darts")
KERNELS: tuple[Kernels, ...] = ("reference", "fused")
STRATEGIES = ("darts1", "darts2", "gdas", "betadarts", "pcdarts")


class Living(TorchDispatchMode):
    """Counts the bytes of the storages that operators make, while they live."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.most = 0
        self.known: set[int] = set()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        inputs = {
            id(own.untyped_storage()) for own in tree_leaves((args, kwargs)) if is_tensor(own)
        }
        found = function(*args, **(kwargs or {}))
        for own in tree_leaves(found):
            if is_tensor(own) and id(own.untyped_storage()) not in self.known | inputs:
                self._begin(own.untyped_storage())
        return found

    def _begin(self, storage: torch.UntypedStorage) -> None:
        size, mark = storage.nbytes(), id(storage)
        self.known.add(mark)
        self.bytes += size
        self.most = max(self.most, self.bytes)
        weakref.finalize(storage, self._end, mark, size)

    def _end(self, mark: int, size: int) -> None:
        self.known.discard(mark)
        self.bytes -= size


def is_tensor(value: object) -> bool:
    """Tell whether a leaf is a tensor."""
    return isinstance(value, torch.Tensor)


def images_of_noise(file: Path) -> None:
    """Write images of ten classes."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for part, count in (("train", 400), ("test", 20)):
        arrays[f"{part}_images"] = rng.integers(0, 256, (count, 32, 32, 3), np.uint8)
        arrays[f"{part}_labels"] = np.arange(count) % 10
    np.savez(file, **arrays)


Form = tuple[Kernels, Level]


def searches(family: str, strategy: str, *, folder: Path, size: int) -> dict[Form, Bilevel]:
    """Make the search of a strategy at every level by each kind of kernels, and say nothing."""
    config = Config(
        run=str(folder / "run"),
        threads=1,
        space=SpaceConfig(family=family, profile="micro"),
        data=DataConfig(path=str(folder / "noise.npz")),
        train=TrainConfig(strategy=strategy, batch_size=size, epochs=50, momentum=0.9),
    )
    task = prepare(config)
    mixture = task.space.mixture
    assert mixture is not None
    made = {}
    for kernels, level in product(KERNELS, mixture.levels):
        own = {"sharing": SharingConfig(level=level), "kernels": kernels}
        made[kernels, level] = make(Config(**{**vars(config), **own}), task)
    return made


def batch_of(search: Bilevel, size: int, start: int) -> Batch:
    """Take a batch of the half that moves the weights."""
    split = search.task.dataset.train
    images = split.images[start : start + size].float() / 255
    return images.contiguous(memory_format=torch.channels_last), split.labels[start : start + size]


def seconds(search: Bilevel, train: Batch, held: Batch, step: int) -> tuple[float, float]:
    """Return the processor time of a step of the weights and of one of the architecture."""
    begin = time.process_time()
    search.move_weights_(train, step)
    middle = time.process_time()
    search.move_alpha_(train, held, step)
    return middle - begin, time.process_time() - middle


def kept_bytes(search: Bilevel, batch: Batch) -> int:
    """Return the bytes that a step of the weights keeps, each storage once, without the weights."""
    own = {weight.untyped_storage().data_ptr() for weight in search.parameters}
    found: dict[int, int] = {}

    def keep(value: torch.Tensor) -> torch.Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = storage.nbytes()
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        search.loss(batch, search.method.shares(search, 0, "weights"), rest=True)
    return sum(found.values())


def most_bytes(search: Bilevel, train: Batch, held: Batch) -> int:
    """Return the most bytes that live at once in a step, beside what is there before it."""
    with Living() as living:
        search.move_alpha_(train, held, 0)
        search.move_weights_(train, 0)
    return living.most


def measure(family: str, strategy: str, *, repeats: int, size: int) -> list[dict[str, object]]:
    """Measure all levels of a strategy in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images_of_noise(folder / "noise.npz")
        made = searches(family, strategy, folder=folder, size=size)
    times: dict[Form, list[tuple[float, float]]] = {form: [] for form in made}
    for turn in range(repeats + 1):
        for form, search in made.items():
            train, held = (batch_of(search, size, start) for start in (0, size))
            found = seconds(search, train, held, turn)
            if turn:
                times[form].append(found)
    rows = []
    for (kernels, level), search in made.items():
        train, held = (batch_of(search, size, start) for start in (0, size))
        mixture = shared_space(search.config, search.task.space).mixture
        assert mixture is not None
        pairs = list(zip(times[kernels, level], times["reference", "none"], strict=True))
        rows.append(
            {
                "family": family,
                "strategy": strategy,
                "kernels": kernels,
                "level": level,
                "batch": size,
                "madds": mixture.madds(level),
                "kept_bytes": kept_bytes(search, train),
                "most_bytes": most_bytes(search, train, held),
                "weights_ms": round(1e3 * median(own[0] for own, _ in pairs), 2),
                "weights_ratio": round(median(own[0] / none[0] for own, none in pairs), 3),
                "alpha_ms": round(1e3 * median(own[1] for own, _ in pairs), 2),
                "alpha_ratio": round(median(own[1] / none[1] for own, none in pairs), 3),
            }
        )
    return rows


def main() -> None:
    """Measure strategies of both families and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=FAMILIES)
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=STRATEGIES)
    parser.add_argument("--keep-pages", action="store_true", help="as stnas train does")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.keep_pages:
        keep_pages()
    command = " ".join(("python benchmarks/sharing_cost.py FILE.csv", *sys.argv[2:]))
    facts = {"command": command, "repeats": options.repeats}
    facts |= {"processor": processor(), "threads": 1, "torch": torch.__version__}
    with open(options.file, "w", newline="") as file:
        file.write(f"# {json.dumps(facts)}\n")
        writer = None
        for family in options.families:
            for strategy in options.strategies:
                rows = measure(family, strategy, repeats=options.repeats, size=options.batch)
                if writer is None:
                    writer = csv.DictWriter(file, rows[0].keys())
                    writer.writeheader()
                writer.writerows(rows)
                file.flush()
                for row in rows:
                    print(*row.values(), flush=True)


if __name__ == "__main__":
    main()
