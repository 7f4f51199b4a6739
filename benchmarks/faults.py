"""Break small runs in many ways, go on with the same command, and compare with a whole run.

    nice python benchmarks/faults.py [--share 1.0] [--only WORDS] [--folder /dev/shm]

Needs root for its small file systems in memory. Every row of the table counts how often a fault was
tried, how often the same command went on by itself or after the repair that its error named, the
training steps that were made again per fault, and the results that differ from the whole run's
in one bit. The exit code is 1 if any differs.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from faulty_runs import Runs, forget_steps, results, steps, wait, warm
from record import machine, save

from stnas.engine import images

Row = dict[str, float | str]


class Bench:
    """The whole run, what it gave, and the table so far."""

    def __init__(self, folder: Path, *, share: float, record: bool) -> None:
        self.folder, self.share, self.record = folder, share, record
        self.rows: list[Row] = []
        self.runs = Runs(folder)
        warm()
        forget_steps()
        begin = time.monotonic()
        assert self.runs.finish(folder / "whole") == 0, self.runs.text()
        self.seconds, self.steps = time.monotonic() - begin, steps()
        self.expected = results(folder / "whole")
        other = self.runs.start(folder / "other", "--seed", "5")
        assert wait(other) == 0
        self.random = random.Random(0)
        print(f"a whole run: {self.seconds:.1f} s, {self.steps} steps", flush=True)

    def fresh(self) -> Path:
        """Return the place of a new run."""
        run = self.folder / "run"
        shutil.rmtree(run, ignore_errors=True)
        forget_steps()
        return run

    def moment(self) -> None:
        """Wait for a random number of steps, or for a random time, then some milliseconds."""
        end = time.monotonic() + self.random.uniform(0.0, 2.0 * self.seconds)
        goal = steps() + self.random.randrange(1, self.steps)
        while steps() < goal and time.monotonic() < end:
            time.sleep(0.002)
        time.sleep(self.random.uniform(0.0, 0.03))

    def row(self, fault: str, count: int, once: Callable[[Path], tuple[int, int]]) -> None:
        """Try a fault; ``once`` breaks a run and returns (faults, repairs) when it has ended."""
        tried = repaired = wrong = again = 0
        while tried < max(1, round(count * self.share)):
            run = self.fresh()
            faults, repairs = once(run)
            tried, repaired = tried + faults, repaired + repairs
            wrong += results(run) != self.expected
            again += max(0, steps() - self.steps)
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
            save("faults", self.rows, {**machine(), "whole_run_seconds": round(self.seconds, 1)})


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


def full_disk(bench: Bench, run: Path) -> tuple[int, int]:
    """Run on a file system that is too small, then on a larger one."""
    run.mkdir()
    size = bench.random.randrange(8, 900)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", run], check=True)
    code = bench.runs.finish(run)
    assert code == 0 or "free some space" in bench.runs.text(), bench.runs.text()
    subprocess.run(["mount", "-o", "remount,size=64m", run], check=True)
    return off_the_mount(bench, run)


def read_only(bench: Bench, run: Path) -> tuple[int, int]:
    """Make the run's file system read-only at a random moment."""
    run.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", run], check=True)
    pid = bench.runs.start(run)
    bench.moment()
    os.kill(pid, signal.SIGKILL)
    wait(pid)
    subprocess.run(["mount", "-o", "remount,ro", run], check=True)
    assert bench.runs.finish(run) == 1
    assert "Read-only file system" in bench.runs.text(), bench.runs.text()
    subprocess.run(["mount", "-o", "remount,rw", run], check=True)
    return off_the_mount(bench, run)


def off_the_mount(bench: Bench, run: Path) -> tuple[int, int]:
    """End a run on a file system of its own, and copy it where that is taken away."""
    repairs = bench.runs.recover(run)
    shutil.copytree(run, run.with_name("copy"))
    subprocess.run(["umount", run], check=True)
    run.rmdir()
    run.with_name("copy").rename(run)
    return 1, repairs


def damaged(bench: Bench, run: Path, change: Callable[[Bench, Path], bytes]) -> tuple[int, int]:
    """Change a random file of a run that is killed at a random moment, or of a complete one."""
    if bench.random.random() < 0.3:
        shutil.copytree(bench.folder / "whole", run)
    else:
        pid = bench.runs.start(run)
        bench.moment()
        os.kill(pid, signal.SIGKILL)
        wait(pid)
    kinds: dict[str, list[Path]] = {}
    for file in run.rglob("[!.]*.*"):
        if file.is_file() and not file.name.startswith("events."):
            kinds.setdefault(file.name, []).append(file)
    if not kinds:
        return 0, bench.runs.recover(run)
    file = bench.random.choice(kinds[bench.random.choice(sorted(kinds))])
    file.write_bytes(change(bench, file))
    return 1, min(1, bench.runs.recover(run))


def truncated(bench: Bench, file: Path) -> bytes:
    """Cut a file at a random place."""
    content = file.read_bytes()
    return content[: bench.random.randrange(max(1, len(content)))]


def flipped(bench: Bench, file: Path) -> bytes:
    """Change one random bit."""
    content = bytearray(file.read_bytes())
    content[bench.random.randrange(len(content))] ^= 1 << bench.random.randrange(8)
    return bytes(content)


def foreign(bench: Bench, file: Path) -> bytes:
    """Return another run's file of that name, or something else altogether."""
    twins = sorted((bench.folder / "other").rglob(file.name))
    if twins and file.name != "config.yaml" and bench.random.random() < 0.7:
        return twins[-1].read_bytes()
    return bench.random.choice((b"", b"\x80\x02}q\x00.", b"{}", b"\xff" * 4096))


def not_finite(bench: Bench, run: Path) -> tuple[int, int]:
    """Let the images of one random batch be NaN."""
    original, number = images.training_batch, bench.random.randrange(1, 12)

    def before() -> None:
        def broken(*words: object, step: int, **more: object) -> object:
            pixels, labels = original(*words, step=step, **more)  # type: ignore[arg-type]
            return pixels * (float("nan") if step == number else 1.0), labels

        images.training_batch = broken  # type: ignore[assignment]

    assert bench.runs.finish(run, before=before) == 1
    for part in (f"at step {number} ", "st1-", "batch ", "state"):
        assert part in bench.runs.text(), bench.runs.text()
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


FAULTS: tuple[tuple[str, int, Callable[[Bench, Path], tuple[int, int]]], ...] = (
    ("SIGTERM", 10, lambda b, r: signalled(b, r, signal.SIGTERM)),
    ("Ctrl-C", 10, lambda b, r: signalled(b, r, signal.SIGINT)),
    ("full disk", 10, full_disk),
    ("read-only folder", 5, read_only),
    ("NaN in a batch", 10, not_finite),
    ("clock that jumps", 5, clock),
    ("second process", 5, second),
    ("truncated file", 30, lambda b, r: damaged(b, r, truncated)),
    ("flipped bit", 30, lambda b, r: damaged(b, r, flipped)),
    ("foreign file", 30, lambda b, r: damaged(b, r, foreign)),
    ("kill -9 before or after a sync or a rename", 60, killed_in_a_write),
    ("kill -9 at a random moment", 320, killed),
)


def main() -> None:
    """Print and save the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--share", type=float, default=1.0, help="of the numbers of tries")
    parser.add_argument("--only", default="", help="part of the names of the faults to try")
    parser.add_argument("--folder", help="where the runs are made; a file system in memory is fast")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder, ignore_cleanup_errors=True) as folder:
        bench = Bench(Path(folder), share=options.share, record=not options.only)
        for fault, count, once in FAULTS:
            if options.only in fault:
                bench.row(fault, count, lambda run, once=once: once(bench, run))  # type: ignore[misc]
    print("faults:", sum(int(row["tried"]) for row in bench.rows))
    raise SystemExit(any(row["wrong_results"] for row in bench.rows))


if __name__ == "__main__":
    main()
