"""Faults of the disk, of files, and of images.

A fault breaks a run, lets it end, and returns how many faults that were and how many repairs.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from fault_bench import Bench
from faulty_runs import wait
from PIL import Image, ImageOps

from stnas.data import epochs


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
    original, number = epochs.training_batch, bench.random.randrange(1, 12)

    def before() -> None:
        def broken(*words: object, step: int, **more: object) -> object:
            pixels, labels = original(*words, step=step, **more)  # type: ignore[arg-type]
            return pixels * (float("nan") if step == number else 1.0), labels

        epochs.training_batch = broken  # type: ignore[assignment]

    assert bench.runs.finish(run, before=before) == 1
    for part in (f"at step {number} ", "st1-", "batch ", "state"):
        assert part in bench.runs.text(), bench.runs.text()
    return 1, bench.runs.recover(run)


def broken_image(bench: Bench, run: Path) -> tuple[int, int]:
    """Break a random image of a streamed folder in mid-epoch, and restore it when that is told.

    A run that is past the last reading of the image ends by itself.
    """
    pid = bench.runs.start(run)
    bench.moment(seconds=60.0)
    file = bench.random.choice(sorted((bench.folder / "photographs").rglob("*.jpg")))
    whole = file.read_bytes()
    broken = bench.random.choice((cut_short, gone, another_size, another_picture))
    broken(file)
    code = wait(pid)
    assert code in (0, 1), bench.runs.text()
    if code == 1:
        assert f"{file.parent.name}/{file.name}" in bench.runs.text(), bench.runs.text()
    file.write_bytes(whole)
    assert bench.runs.recover(run) == 0
    return 1, code


def cut_short(file: Path) -> None:
    """Leave a part of an image file."""
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def gone(file: Path) -> None:
    """Remove an image file."""
    file.unlink()


def another_size(file: Path) -> None:
    """Put a whole image of another size in the place of one."""
    Image.new("RGB", (5, 5)).save(file)


def another_picture(file: Path) -> None:
    """Put the mirror image in the place of an image: a whole file of the same size in pixels."""
    with Image.open(file) as image:
        ImageOps.mirror(image).save(file, quality=90)
