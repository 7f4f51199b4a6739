"""Small whole runs in processes of their own, to be broken and compared.

Started as a program it is ``stnas``, whose steps are counted.
"""

import mmap
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from faulty_images import write_images

from stnas.cli import commands, parser
from stnas.store.checkpoint import Standing
from stnas.store.files import read_json, read_rows
from stnas.store.tensors import read_tensors

TINY = {
    "threads": 1,
    "save_every": 0.0,
    "space": {"profile": "nano", "stages": [3, 2], "widths": [8, 12], "tail_width": 16},
    "data": {"flip": False, "crop_padding": 1},
    "train": {"epochs": 2, "batch_size": 16, "learning_rate": 1.0, "micro_batches": 2},
    "sgld": {"samples": 2},
    "search": {"population": 4, "generations": 2, "recalibration_images": 32, "limits": [1e6]},
    "retrain": {
        "epochs": 1,
        "batch_size": 16,
        "warmup_epochs": 0.5,
        "random_twins": 1,
        "micro_batches": 2,
    },
}
TIMES = ("seconds", "time", "images_per_second", "files")
BROKEN = re.compile(
    r"(/\S+?),? (?:line \d+ )?(?:is damaged|belongs to|is missing|is not as|was not written)"
)
OTHER = re.compile(r"or delete \S+/(\w+) and the stages after it")
STAGES = ("train", "sgld", "search", "retrain")
COUNTER = "STNAS_STEP_COUNTER"
_add = Standing.add_


def counter() -> mmap.mmap:
    """Map the number that forked and started processes share; the first process makes it."""
    if COUNTER not in os.environ:
        made = os.memfd_create("steps")
        os.ftruncate(made, 8)
        os.environ[COUNTER] = f"/proc/{os.getpid()}/fd/{made}"
    with open(os.environ[COUNTER], "r+b") as file:
        return mmap.mmap(file.fileno(), 8)


_steps = counter()


def warm() -> None:
    """Import what a run would import late, once for all that are forked."""
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)


def steps() -> int:
    """Return how many training steps all processes have made since the last ``forget_steps``."""
    return int(struct.unpack("q", _steps[:8])[0])


def forget_steps() -> None:
    """Begin to count anew."""
    _steps[:8] = bytes(8)


def counting_add(self: Standing, *numbers: float) -> None:
    """Count a step where every process sees it; of a group the first one counts."""
    _add(self, *numbers)
    if os.environ.get("RANK", "0") == "0":
        _steps[:8] = struct.pack("q", steps() + 1)


Standing.add_ = counting_add  # type: ignore[method-assign]


class Runs:
    """Starts runs of one configuration; ``folder`` holds them and their logs."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        write_images(folder / "images.npz")
        self.config = folder / "tiny.yaml"
        data = {"path": str(folder / "images.npz"), **TINY["data"]}  # type: ignore[dict-item]
        self.config.write_text(yaml.safe_dump({**TINY, "data": data, **changes}))
        self.log = folder / "log.txt"
        self.parsed = parser.parse(["run", "--config", str(self.config)])

    def parse(self, words: list[str]) -> Any:
        """Return the configuration that ``stnas`` would parse, without the time that it takes."""
        parser.default_files(words)
        run, seed = words[words.index("--run") + 1], int(words[-1]) if "--seed" in words else 0
        self.parsed.config = replace(self.parsed.config, run=run, seed=seed)
        return self.parsed

    def start(
        self,
        run: Path,
        *options: str,
        before: Callable[[], None] = lambda: None,
        log: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> int:
        """Start the whole run in a forked process and return the process's number."""
        sys.stdout.flush()
        pid = os.fork()
        if pid:
            return pid
        code = 70
        try:
            out = os.open(log or self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(out, 1)
            os.dup2(out, 2)
            os.environ.update(environment or {})
            torch.set_num_threads(1)
            commands.parse = self.parse
            before()
            commands.main(["run", "--config", str(self.config), "--run", str(run), *options])
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        finally:
            sys.stdout.flush()
            os._exit(code)

    def start_group(self, run: Path, *, size: int, restarts: int = 0) -> subprocess.Popen[bytes]:
        """Start the whole run in processes of their own under torchrun."""
        counts = [f"--nproc-per-node={size}", f"--max-restarts={restarts}"]
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", *counts]
        words = ["run", "--config", str(self.config), "--run", str(run)]
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [*launcher, "--", __file__, *words],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
            )

    def text(self) -> str:
        """Return what the last run has printed."""
        return self.log.read_text(errors="replace")

    def finish(self, run: Path, **options: Any) -> int:
        """Run to the end and return the exit code."""
        return wait(self.start(run, **options))

    def recover(self, run: Path) -> int:
        """Run the command again, repairing what its errors name; return how often that was.

        Raises RuntimeError if the command does not say what is to be repaired.
        """
        for repairs in range(12):
            if self.finish(run) == 0:
                return repairs
            text = self.text()
            if told := OTHER.search(text):
                start_anew(run, told[1])
                continue
            names = [Path(name) for name in BROKEN.findall(text.partition("error:")[2])]
            if not names or "delete" not in text:
                raise RuntimeError(f"no repair is named: {text[-2000:]}")
            for file in names:
                repair(run, file)
        raise RuntimeError(f"the repairs do not end: {self.text()[-2000:]}")


def start_anew(run: Path, stage: str) -> None:
    """Do what the error about another configuration says: delete the stage and those after it."""
    for name in STAGES[STAGES.index(stage) :]:
        shutil.rmtree(run / name, ignore_errors=True)


def repair(run: Path, file: Path) -> None:
    """Do what the errors say: delete the file and its stage's ``result.json``."""
    stage = file.relative_to(run).parts[0]
    if file.name == "config.json" and not file.exists():
        shutil.rmtree(run / stage)
        return
    for path in (file, run / stage / "result.json"):
        if path.is_file():
            path.unlink()


def wait(pid: int, *, seconds: float = 300.0) -> int:
    """Wait for a process; return its exit code, or less than 0 for the signal that ended it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    raise RuntimeError(f"process {pid} did not end within {seconds} s")


def timeless(value: Any) -> Any:
    """Return a JSON value without the times in it."""
    if isinstance(value, dict):
        return {name: timeless(item) for name, item in value.items() if name not in TIMES}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def results(run: Path) -> dict[str, Any]:
    """Read all that a run is to give, bit for bit, without times: weights, samples, log, front."""
    found: dict[str, Any] = {}
    for file in sorted(run.rglob("[!.]*.*")):
        name = file.relative_to(run).as_posix()
        if file.suffix == ".safetensors" and not file.name.startswith("state."):
            tensors, metadata = read_tensors(file)
            tensors.pop("stamps", None)  # of a scan: when its files were written
            found[name] = ({key: t.numpy().tobytes() for key, t in tensors.items()}, metadata)
        elif file.suffix == ".json":
            found[name] = timeless(read_json(file))
        elif file.name == "archive.jsonl":
            found[name] = read_rows(file, origin=None)
    return found


if __name__ == "__main__":
    commands.main()
