"""A whole run of one configuration, and what it takes to break others like it at random moments."""

import random
import shutil
import time
from functools import cached_property
from pathlib import Path
from typing import Any

from faulty_runs import Runs, forget_steps, results, steps, wait, warm


class Bench:
    """The whole run, and what it gave.

    changes: keys of the configuration whose values are not those of the tiny run.
    """

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder = folder
        self.runs = Runs(folder, **changes)
        self.random = random.Random(0)
        warm()
        forget_steps()
        begin = time.monotonic()
        assert self.runs.finish(folder / "whole") == 0, self.runs.text()
        self.seconds, self.steps = time.monotonic() - begin, steps()
        self.expected = results(folder / "whole")
        assert wait(self.runs.start(folder / "other", "--seed", "5")) == 0, self.runs.text()
        print(f"a whole run: {self.seconds:.1f} s, {self.steps} steps", flush=True)

    @cached_property
    def group_seconds(self) -> float:
        """Return the seconds of a whole run of two processes, which must give the same results."""
        begin, run = time.monotonic(), self.folder / "group"
        launcher = self.runs.start_group(run, size=2)
        assert launcher.wait() == 0, self.runs.text()
        assert results(run) == self.expected, "two processes give other results than one"
        forget_steps()
        return time.monotonic() - begin

    def fresh(self) -> Path:
        """Return the place of a new run."""
        run = self.folder / "run"
        shutil.rmtree(run, ignore_errors=True)
        forget_steps()
        return run

    def moment(self, seconds: float | None = None) -> None:
        """Wait for a random number of steps, or for a random time, then some milliseconds.

        seconds: the longest time; twice a random part of the whole run's if it is not given.
        """
        if seconds is None:
            seconds = self.random.uniform(0.0, 2.0 * self.seconds)
        end = time.monotonic() + seconds
        goal = steps() + self.random.randrange(1, self.steps)
        while steps() < goal and time.monotonic() < end:
            time.sleep(0.002)
        time.sleep(self.random.uniform(0.0, 0.03))
