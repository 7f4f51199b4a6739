"""Time calls beside each other, on a machine that has other work, too."""

import time
from collections.abc import Sequence

from stnas.latency.backends import Call

SLICE = 2_000_000
"""Nanoseconds that the repetitions of a call take together, so that the clock is no matter."""


def least_times(
    calls: Sequence[Call], *, rounds: int, threads: int, on_host: bool = True
) -> list[float]:
    """Return nanoseconds of each call: of several rounds through all of them, the least.

    A round repeats a call for some milliseconds; what disturbs one round disturbs all calls. On one
    thread it is processor time, in which other programs' turns do not count. on_host: whether the
    processor computes, and not a GPU, for which it waits.
    """
    alone = on_host and threads == 1
    clock = time.process_time_ns if alone else time.perf_counter_ns
    counts = []
    for call in calls:
        call()
        call()
        begin = clock()
        call()
        counts.append(max(1, round(SLICE / max(clock() - begin, 100))))
    least = [float("inf")] * len(calls)
    for _ in range(rounds):
        for place, (call, count) in enumerate(zip(calls, counts, strict=True)):
            begin = clock()
            for _ in range(count):
                call()
            least[place] = min(least[place], (clock() - begin) / count)
    return least
