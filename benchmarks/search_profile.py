"""Profile a whole search, 45 x 22: how much of its time passes inside kernels, and in what else.

    OMP_NUM_THREADS=1 python benchmarks/search_profile.py [images]

The stage ``search`` runs on random weights and the embedded images, ``images`` (512) of them for
recalibration; the fewer they are, the more the rest weighs. Times are CPU seconds of one thread. In
each generation the candidates are scored ROUNDS times as the search does it and as often, in turn,
with a clock around every operator, of torch and of stnas, from its dispatch to its return; medians
count. ``scoring`` (in it ``trie``, the making of the trie) is without those clocks, ``kernels`` (in
it ``stnas_kernels``) what they add up to, ``outside`` the rest of the search: proposals, ranks,
counts, files. ``total`` is scoring + outside, ``rest`` what is no kernel, and ``share`` kernels /
total. ``clocked`` is the scoring with its clocks, so kernels / (clocked + outside),
``least_share``, is too small by what they cost. Operators in numpy count as rest.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from draw import draw
from record import machine, save
from torch.utils._python_dispatch import TorchDispatchMode

from stnas.config import Config, DataConfig, SearchConfig, SgldConfig, SpaceConfig
from stnas.learn import scoring
from stnas.learn.task import build_supernet, prepare
from stnas.search import stage
from stnas.store.run_folder import RunFolder
from stnas.store.tensors import write_tensors
from stnas.train.stage import single_path
from stnas.train.stage import summary as trained

IMAGES, ROUNDS = 512, 3


class KernelClock(TorchDispatchMode):
    """Adds up the CPU seconds of every operator that is dispatched, by where it comes from."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: Counter[str] = Counter()
        self.calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator between two readings."""
        start = time.thread_time()
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self.seconds[func.namespace] += time.thread_time() - start
            self.calls += 1


class Profile:
    """Stands in for ``Scorer.__call__`` and the stage's report; has a row for each generation."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.scoring: dict[str, float] = {}
        self.spent = 0.0
        self.begin = time.thread_time()
        self.score, self.report = scoring.Scorer.__call__, stage.report

    def scored(self, scorer: scoring.Scorer, *genotypes: Any, **options: Any) -> Any:
        """Score with and without clocks, in turn."""
        begin = time.thread_time()
        rounds = []
        for _ in range(ROUNDS):
            start = time.thread_time()
            with self.trie_clock() as trie:
                result = self.score(scorer, *genotypes, **options)
            middle = time.thread_time()
            with KernelClock() as clock:
                self.score(scorer, *genotypes)
            rounds.append(
                {
                    "scoring": middle - start,
                    "trie": trie["seconds"],
                    "clocked": time.thread_time() - middle,
                    "kernels": clock.seconds.total(),
                    "stnas_kernels": clock.seconds["stnas"],
                    "operators": clock.calls,
                }
            )
        self.scoring = {name: median(row[name] for row in rounds) for name in rounds[0]}
        self.spent = time.thread_time() - begin
        return result

    @contextmanager
    def trie_clock(self) -> Iterator[dict[str, float]]:
        """Yield what will hold the seconds that tries took to make."""
        clock, make = {"seconds": 0.0}, scoring.Trie

        def clocked(*arguments: Any) -> Any:
            start = time.thread_time()
            trie = make(*arguments)
            clock["seconds"] += time.thread_time() - start
            return trie

        with patch.object(scoring, "Trie", clocked):
            yield clock

    def turn(self, *arguments: Any) -> None:
        """Report a generation and end it."""
        self.report(*arguments)
        outside = time.thread_time() - self.begin - self.spent
        self.rows.append(summary(len(self.rows), self.scoring, outside))
        self.begin = time.thread_time()


def summary(generation: int, clocks: dict[str, float], outside: float) -> dict[str, float]:
    """Return the row of a generation."""
    total = clocks["scoring"] + outside
    seconds = {"total": total, "outside": outside, **clocks, "rest": total - clocks["kernels"]}
    calls = seconds.pop("operators")
    return {
        "generation": generation,
        **{name: round(value, 5) for name, value in seconds.items()},
        "operators": int(calls),
        "share": round(clocks["kernels"] / total, 4),
        "least_share": round(clocks["kernels"] / (clocks["clocked"] + outside), 4),
    }


def configuration(run: str, images: int) -> Config:
    """Return the search of the published size on the profile ``micro``."""
    return Config(
        run=run,
        space=SpaceConfig(profile="micro", stem_stride=2),
        data=DataConfig(path="embedded"),
        sgld=SgldConfig(samples=1),
        search=SearchConfig(population=45, generations=22, recalibration_images=images, random=0),
    )


def leave_weights(config: Config) -> None:
    """Write what ``train`` and ``sgld`` leave, with weights as they are at the start."""
    task = prepare(config)
    with RunFolder(config) as folder:
        folder.begin("train")
        folder.finish("train", trained(config, task, single_path(config, task), 0.0))
        weights = build_supernet(config, task.space).state_dict()
        file = folder.begin("sgld") / "mean.safetensors"
        write_tensors(file, weights, origin=folder.origin("sgld"), samples=1)
        folder.finish("sgld", {"seconds": 0.0, "samples": 1})


def method(work: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that, as a class's own, is given the instance too."""
    return lambda *given, **options: work(*given, **options)


def search(images: int) -> list[dict[str, float]]:
    """Run the stage in a folder of its own; return the row of each generation."""
    profile, evolve = Profile(), stage.evolve

    def begin(*arguments: Any, **options: Any) -> Any:
        profile.begin = time.thread_time()
        return evolve(*arguments, **options)

    with tempfile.TemporaryDirectory() as run, ExitStack() as stack:
        config = configuration(run, images)
        leave_weights(config)
        stack.enter_context(patch.object(stage, "evolve", begin))
        stack.enter_context(patch.object(stage, "report", profile.turn))
        stack.enter_context(patch.object(scoring.Scorer, "__call__", method(profile.scored)))
        stage.run(config)
    return profile.rows


def main() -> None:
    """Print and save the table, in CPU seconds, and draw it."""
    torch.set_num_threads(1)
    images = int(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    rows = search(images)
    print("".join(f"{name:>14}" for name in rows[0]))
    for row in rows:
        print("".join(f"{value:>14}" for value in row.values()))
    sums = {name: sum(row[name] for row in rows) for name in rows[0]}
    print(
        f"kernels {sums['kernels']:.2f} of {sums['total']:.2f} CPU seconds: "
        f"{sums['kernels'] / sums['total']:.2%} (at least "
        f"{sums['kernels'] / (sums['clocked'] + sums['outside']):.2%}); outside scoring "
        f"{sums['outside'] / (45 * len(rows)) * 1e6:.0f} us a candidate"
    )
    save("search_profile", rows, {**machine(), "unit": "CPU seconds", "images": images})
    draw("search_profile")


if __name__ == "__main__":
    main()
