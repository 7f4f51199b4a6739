"""Profile a whole search, 45 x 22: how much of its time passes inside kernels, and in what else.

    OMP_NUM_THREADS=1 python benchmarks/search_profile.py [images]

The stage ``search`` runs on random weights and the embedded images, ``images`` (512) of them for
recalibration; the fewer they are, the more the rest weighs. Times are CPU seconds of one thread,
generation by generation, from two runs of the same search. One is left alone but for the clocks
around its parts: ``total``, in it ``scoring`` (trie, recalibration, evaluation) and in that
``trie``, the making of the trie. The other clocks every operator, of torch and of stnas, from its
dispatch to its return: ``kernels``, in it ``stnas_kernels``. Its total, ``clocked``, holds the cost
of the clocks too. ``rest`` is total - kernels: Python, the operators in numpy, and files. ``share``
is kernels / total, which differs with the state of the machine in the two runs; ``least_share`` is
kernels / clocked, of one run, and too small by the clocks.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import torch
from draw import draw
from record import machine, save
from torch.utils._python_dispatch import TorchDispatchMode

from stnas.config import Config, DataConfig, SearchConfig, SgldConfig, SpaceConfig
from stnas.engine import scoring
from stnas.engine.files import write_tensors
from stnas.engine.materials import build_supernet, prepare
from stnas.engine.run_folder import RunFolder
from stnas.search import stage

IMAGES = 512


class Clocks:
    """CPU seconds, and calls, by name; a list of them, one for each generation."""

    def __init__(self) -> None:
        self.now: Counter[str] = Counter()
        self.generations: list[Counter[str]] = []
        self.begin = time.thread_time()

    def around(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same function with a clock around it."""

        def clocked(*arguments: Any, **options: Any) -> Any:
            start = time.thread_time()
            try:
                return work(*arguments, **options)
            finally:
                self.now[name] += time.thread_time() - start
                self.now[f"{name}_calls"] += 1

        return clocked

    def turn(self) -> None:
        """End a generation."""
        end = time.thread_time()
        self.generations.append(Counter({**self.now, "total": end - self.begin}))
        self.now, self.begin = Counter(), time.thread_time()


class KernelClock(TorchDispatchMode):
    """Clocks every operator that is dispatched, by where it comes from."""

    def __init__(self, clocks: Clocks) -> None:
        super().__init__()
        self.clocks = clocks

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator between two readings."""
        name = "stnas_kernels" if func.namespace == "stnas" else "torch_kernels"
        return self.clocks.around(name, func)(*args, **(kwargs or {}))


def configuration(run: str, images: int) -> Config:
    """Return the search of the published size on the profile ``micro``."""
    return Config(
        run=run,
        space=SpaceConfig(profile="micro", stem_stride=2),
        data=DataConfig(path="embedded"),
        sgld=SgldConfig(samples=1),
        search=SearchConfig(population=45, generations=22, recalibration_images=images),
    )


def leave_weights(config: Config) -> None:
    """Write what ``train`` and ``sgld`` leave, with weights as they are at the start."""
    materials = prepare(config)
    with RunFolder(config) as folder:
        folder.begin("train")
        data = {"fingerprint": materials.dataset.fingerprint}
        folder.finish("train", {"data": data})
        weights = build_supernet(config, materials.space).state_dict()
        file = folder.begin("sgld") / "mean.safetensors"
        write_tensors(file, weights, origin=folder.origin("sgld"), samples=1)
        folder.finish("sgld", {"samples": 1})


def search(images: int, *, clock_kernels: bool) -> list[Counter[str]]:
    """Run the stage in a folder of its own; return the clocks of each generation."""
    clocks = Clocks()
    report = stage.Ledger.report

    def turn(*arguments: Any) -> None:
        report(*arguments)
        clocks.turn()

    def begin(*arguments: Any, **options: Any) -> Any:
        clocks.begin = time.thread_time()
        return evolve(*arguments, **options)

    evolve, call, trie = stage.evolve, scoring.Scorer.__call__, scoring.Trie
    with tempfile.TemporaryDirectory() as run, ExitStack() as stack:
        config = configuration(run, images)
        leave_weights(config)
        stack.enter_context(patch.object(stage, "evolve", begin))
        stack.enter_context(patch.object(stage.Ledger, "report", turn))
        if clock_kernels:
            stack.enter_context(KernelClock(clocks))
        else:
            scored = clocks.around("scoring", call)
            stack.enter_context(patch.object(scoring.Scorer, "__call__", scored))
            stack.enter_context(patch.object(scoring, "Trie", clocks.around("trie", trie)))
        stage.run(config)
    return clocks.generations


def table(plain: list[Counter[str]], kernels: list[Counter[str]]) -> list[dict[str, Any]]:
    """Join the clocks of both runs, a row for each generation."""
    rows = []
    for generation, (times, inside) in enumerate(zip(plain, kernels, strict=True)):
        both = inside["stnas_kernels"] + inside["torch_kernels"]
        seconds = {
            "total": times["total"],
            "scoring": times["scoring"],
            "trie": times["trie"],
            "kernels": both,
            "stnas_kernels": inside["stnas_kernels"],
            "clocked": inside["total"],
            "rest": times["total"] - both,
        }
        calls = inside["stnas_kernels_calls"] + inside["torch_kernels_calls"]
        rows.append(
            {
                "generation": generation,
                **{name: round(value, 5) for name, value in seconds.items()},
                "operators": int(calls),
                "share": round(both / times["total"], 4),
                "least_share": round(both / inside["total"], 4),
            }
        )
    return rows


def main() -> None:
    """Print and save the table, in CPU seconds, and draw it."""
    torch.set_num_threads(1)
    images = int(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    rows = table(search(images, clock_kernels=False), search(images, clock_kernels=True))
    print("".join(f"{name:>14}" for name in rows[0]))
    for row in rows:
        print("".join(f"{value:>14}" for value in row.values()))
    sums = {name: sum(row[name] for row in rows) for name in rows[0]}
    print(
        f"kernels {sums['kernels']:.2f} of {sums['total']:.2f} CPU seconds: "
        f"{sums['kernels'] / sums['total']:.2%} (at least "
        f"{sums['kernels'] / sums['clocked']:.2%}); outside scoring "
        f"{(sums['total'] - sums['scoring']) / (45 * len(rows)) * 1e6:.0f} us a candidate"
    )
    save("search_profile", rows, {**machine(), "unit": "CPU seconds", "images": images})
    draw("search_profile")


if __name__ == "__main__":
    main()
