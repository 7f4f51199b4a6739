"""Break small runs in many ways, go on with the same command, and compare with a whole run.

    nice python benchmarks/faults.py [--share 1.0] [--only WORDS] [--go_on] [--folder /dev/shm]

Needs root for its small file systems in memory. Every row of the table counts how often a fault was
tried, how often the same command went on by itself or after the repair that its error named, the
training steps that were made again per fault, and the results that differ from the whole run's
in one bit. The exit code is 1 if any differs. ``--go_on`` keeps the rows of the table that is there
and tries the other faults; with ``--only``, several processes may work on one table.
"""

import argparse
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fault_bench import Bench
from faulty_images import write_photographs
from faulty_runs import results, steps
from file_faults import (
    broken_image,
    damaged,
    flipped,
    foreign,
    full_disk,
    not_finite,
    read_only,
    truncated,
)
from process_faults import clock, killed, killed_in_a_write, second, signalled, worker_lost
from record import load, machine, save

Fault = Callable[[Bench, Path], tuple[int, int]]

FAULTS: tuple[tuple[str, int, str, Fault], ...] = (
    ("SIGTERM", 10, "memory", lambda b, r: signalled(b, r, signal.SIGTERM)),
    ("Ctrl-C", 10, "memory", lambda b, r: signalled(b, r, signal.SIGINT)),
    ("full disk", 10, "memory", full_disk),
    ("read-only folder", 5, "memory", read_only),
    ("NaN in a batch", 10, "memory", not_finite),
    ("clock that jumps", 5, "memory", clock),
    ("second process", 5, "memory", second),
    ("truncated file", 30, "memory", lambda b, r: damaged(b, r, truncated)),
    ("flipped bit", 30, "memory", lambda b, r: damaged(b, r, flipped)),
    ("foreign file", 30, "memory", lambda b, r: damaged(b, r, foreign)),
    ("image that breaks in mid-epoch, DALI", 15, "dali", broken_image),
    ("image that breaks in mid-epoch, Pillow", 15, "pillow", broken_image),
    ("worker lost from a group of two", 20, "memory", worker_lost),
    ("kill -9 before or after a sync or a rename", 60, "memory", killed_in_a_write),
    ("kill -9 at a random moment", 320, "memory", killed),
)


class Table:
    """The rows that were made; ``share`` of the numbers of tries is made.

    go_on: keep the rows of the saved table whose faults are not tried.
    """

    def __init__(self, *, share: float, record: bool, go_on: bool) -> None:
        self.share, self.record, self.go_on = share, record, go_on
        self.rows: list[dict[str, Any]] = []

    def all_rows(self) -> list[dict[str, Any]]:
        """Return the rows that are kept and those that were made, in the order of the faults."""
        kept = load("faults") if self.go_on else []
        rows = {row["fault"]: row for row in [*kept, *self.rows]}
        return [rows[fault] for fault, *_ in FAULTS if fault in rows]

    def add(self, bench: Bench, fault: str, count: int, once: Fault) -> None:
        """Try a fault; ``once`` breaks a run and returns (faults, repairs) when it has ended."""
        tried = repaired = wrong = again = 0
        while tried < max(1, round(count * self.share)):
            run = bench.fresh()
            faults, repairs = once(bench, run)
            tried, repaired = tried + faults, repaired + repairs
            wrong += results(run) != bench.expected
            again += max(0, steps() - bench.steps)
        self.rows.append(
            {
                "fault": fault,
                "tried": tried,
                "went_on_alone": tried - repaired,
                "repaired_as_told": repaired,
                "steps_again_per_fault": f"{again / tried:.1f}",
                "wrong_results": wrong,
            }
        )
        print(self.rows[-1], flush=True)
        if self.record:
            save(
                "faults",
                self.all_rows(),
                {**machine(), "whole_run_seconds": round(bench.seconds, 1)},
            )


def opened(folder: Path, data: str) -> Bench:
    """Make the whole run with images in memory, or with photographs that a backend streams."""
    if data == "memory":
        return Bench(folder)
    write_photographs(folder / "photographs")
    path = str(folder / "photographs")
    streamed = {"path": path, "backend": data, "image_size": 16, "jitter": 0.2, "workers": 1}
    return Bench(folder, data=streamed)


def main() -> None:
    """Print and save the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--share", type=float, default=1.0, help="of the numbers of tries")
    parser.add_argument("--only", default="", help="part of the names of the faults to try")
    parser.add_argument("--go_on", action="store_true", help="keep the rows that are there")
    parser.add_argument("--folder", help="where the runs are made; a file system in memory is fast")
    options = parser.parse_args()
    record = options.go_on or not options.only
    table, benches = Table(share=options.share, record=record, go_on=options.go_on), {}
    there = {row["fault"] for row in table.all_rows()}
    with tempfile.TemporaryDirectory(dir=options.folder, ignore_cleanup_errors=True) as folder:
        for fault, count, data, once in FAULTS:
            if options.only in fault and fault not in there:
                if data not in benches:
                    benches[data] = opened(Path(folder) / data, data)
                table.add(benches[data], fault, count, once)
    rows = table.all_rows()
    print("faults:", sum(int(row["tried"]) for row in rows))
    raise SystemExit(any(int(row["wrong_results"]) for row in rows))


if __name__ == "__main__":
    main()
