"""Faults of processes: killed, stopped, lost from a group, or started twice.

A fault breaks a run, lets it end, and returns how many faults that were and how many repairs.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

from fault_bench import Bench
from faulty_runs import wait

RESTARTS = 3
"""How often the processes of a group are started again."""


def killed(bench: Bench, run: Path) -> tuple[int, int]:
    """Kill a run again and again, at random moments, until it ends."""
    for kills in range(1000):
        pid = bench.runs.start(run)
        bench.moment()
        os.kill(pid, signal.SIGKILL)
        if wait(pid) == 0:
            return kills, bench.runs.recover(run)
    raise AssertionError


def killed_in_a_write(bench: Bench, run: Path) -> tuple[int, int]:
    """Kill a run at a random call that writes: before or after a sync or a rename."""
    number, late = bench.random.randrange(1, 60), bench.random.random() < 0.5

    def before() -> None:
        calls = [0]

        def deadly(name: str, owner: object) -> None:
            original = getattr(owner, name)

            def call(*words: object) -> object:
                calls[0] += 1
                if calls[0] == number and not late:
                    os.kill(os.getpid(), signal.SIGKILL)
                result = original(*words)
                if calls[0] == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                return result

            setattr(owner, name, call)

        deadly("fsync", os)
        deadly("replace", Path)

    bench.runs.finish(run, before=before)
    return 1, bench.runs.recover(run)


def signalled(bench: Bench, run: Path, number: signal.Signals) -> tuple[int, int]:
    """Send a signal at a random moment; the exit code and the message are checked."""
    pid = bench.runs.start(run)
    bench.moment()
    os.kill(pid, number)
    code = wait(pid)
    assert code in (0, 128 + number, -number), bench.runs.text()
    assert code <= 0 or "the same command goes on from there: stnas" in bench.runs.text()
    return 1, bench.runs.recover(run)


def clock(bench: Bench, run: Path) -> tuple[int, int]:
    """Kill a run whose clock jumps, and let its files be from the past and the future."""
    true = time.time

    def before() -> None:
        time.time = lambda: true() + bench.random.uniform(-3e9, 3e9)

    pid = bench.runs.start(run, before=before)
    bench.moment()
    os.kill(pid, signal.SIGKILL)
    wait(pid)
    for file in run.rglob("*"):
        os.utime(file, (0, bench.random.choice((0, 4e9))))
    return 1, bench.runs.recover(run)


def second(bench: Bench, run: Path) -> tuple[int, int]:
    """Start a second process on the folder of one that works."""
    pid = bench.runs.start(run)
    while not (run / "config.yaml").exists():
        time.sleep(0.01)
    log = bench.folder / "second.txt"
    assert wait(bench.runs.start(run, log=log)) == 1
    assert f"in use by another process (process {pid} on" in log.read_text()
    assert wait(pid) == 0
    return 1, 0


def worker_lost(bench: Bench, run: Path) -> tuple[int, int]:
    """Kill one of the two processes of torchrun, and again after each restart."""
    longest = 2.0 * bench.group_seconds
    launcher = bench.runs.start_group(run, size=2, restarts=RESTARTS)
    kills = 0
    for _ in range(RESTARTS):
        bench.moment(bench.random.uniform(0.0, longest))
        kills += lost(launcher, rank=bench.random.randrange(2))
    assert launcher.wait() == 0, bench.runs.text()
    return kills, bench.runs.recover(run)


def lost(launcher: subprocess.Popen[bytes], *, rank: int) -> bool:
    """Kill a process of a group as soon as it is there; tell whether it was before the end."""
    while launcher.poll() is None:
        pid = workers(launcher.pid).get(rank)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            return True
        time.sleep(0.01)
    return False


def workers(launcher: int) -> dict[int, int]:
    """Find the processes that torchrun started, by rank."""
    found = {}
    for child in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split():
        words = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        ranks = [int(word[5:]) for word in words if word.startswith(b"RANK=")]
        found |= dict.fromkeys(ranks, int(child))
    return found
