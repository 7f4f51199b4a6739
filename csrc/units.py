"""What is compiled of this folder, and how one object file is made.

``OPERATOR/sources.txt`` lists sources, one a line, each with compiler flags of its own. Those of
``cuda/`` are for GPUs, ``.cu`` by nvcc. Those whose names begin with ``kernels`` are compiled once
for every instruction set of ``host/isa.txt``, whose columns are name, processor, the set whose
float32 kernels it uses, and compiler flags. ``setup.py``, the emulator's build and CMake read both.
"""

import hashlib
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

CSRC = Path(__file__).resolve().parent


class Source(NamedTuple):
    """A source with flags of its own."""

    path: Path
    flags: tuple[str, ...]

    @property
    def is_for_gpus(self) -> bool:
        """Tell whether it is compiled only where there are kernels for GPUs."""
        return self.path.parent.name == "cuda"

    @property
    def is_for_each_set(self) -> bool:
        """Tell whether it is compiled once for every instruction set."""
        return self.path.name.startswith("kernels")


def sources(*operators: str) -> list[Source]:
    """Return what the operators list."""
    found = []
    for operator in operators:
        for line in (CSRC / operator / "sources.txt").read_text().splitlines():
            name, *flags = line.split()
            found.append(Source(CSRC / operator / name, tuple(flags)))
    return found


def operators() -> list[str]:
    """Return the folders that have sources."""
    return sorted(path.parent.name for path in CSRC.glob("*/sources.txt"))


class InstructionSet(NamedTuple):
    """A set with its flags; ``wide`` is the set whose float32 kernels it uses."""

    name: str
    wide: str
    flags: tuple[str, ...]

    @property
    def features(self) -> list[str]:
        """List what a processor must have, in the words of ``__builtin_cpu_supports``."""
        return [flag[2:] for flag in self.flags if flag.startswith("-m") and "=" not in flag]


def instruction_sets(wanted: str = "") -> list[InstructionSet]:
    """Return the sets of this processor's kind, or those named ``A;B`` and the ones they need.

    Raises SystemExit for another name.
    """
    machine = platform.machine().lower().replace("amd64", "x86_64")
    rows = [line.split() for line in (CSRC / "host/isa.txt").read_text().splitlines()]
    known = {
        name: InstructionSet(name, wide, tuple(flags))
        for name, target, wide, *flags in rows
        if target in ("any", machine)
    }
    names = [name for name in wanted.split(";") if name] or list(known)
    for name in names:
        if name not in known:
            raise SystemExit(f"STNAS_ISAS must list some of {';'.join(known)}, got {name!r}")
    needed = {next(iter(known)), *names, *(known[name].wide for name in names)}
    return [isa for isa in known.values() if isa.name in needed]


def macro(sets: Iterable[InstructionSet]) -> str:
    """Return the macro that names the sets to C++: ``ISA(name, wide, HAS(feature)...)`` of each."""
    calls = [
        f"ISA({isa.name}, {isa.wide}, {' '.join(f'HAS({name})' for name in isa.features)})"
        for isa in sets
    ]
    return f"-DSTNAS_ISAS={' '.join(calls)}"


@dataclass(frozen=True)
class Unit:
    """An object file and the command that makes it, up to the names of files."""

    source: Path
    target: Path
    command: tuple[str, ...]

    @property
    def record(self) -> Path:
        """Return where the command stands, and the files that the compiler read with digests."""
        return self.target.with_suffix(".json")

    def is_fresh(self) -> bool:
        """Tell whether the same command made the object of the same files."""
        if not (self.target.exists() and self.record.exists()):
            return False
        made, record = self.target.stat().st_mtime, json.loads(self.record.read_text())
        if record["command"] != list(self.command):
            return False
        files = ((Path(name), known) for name, known in record["files"].items())
        return all(
            path.exists() and (path.stat().st_mtime < made or digest(path) == known)
            for path, known in files
        )

    def compile(self) -> str:
        """Compile the source, if the object is not fresh, and return the object's path."""
        if self.is_fresh():
            return str(self.target)
        self.target.parent.mkdir(parents=True, exist_ok=True)
        begun, notes = time.time(), self.target.with_suffix(".d")
        command = (*self.command, "-MD", "-MF", str(notes))
        command = (*command, "-c", str(self.source), "-o", str(self.target))
        if subprocess.run(command, check=False).returncode:
            raise SystemExit(f"{' '.join(command)}: does not compile")
        os.utime(self.target, (begun, begun))  # What changes meanwhile makes it stale.
        names = notes.read_text().replace("\\\n", " ").partition(":")[2].split()
        read = ((name, Path(name)) for name in names)
        files = {name: digest(path) if path.stat().st_mtime < begun else "" for name, path in read}
        self.record.write_text(json.dumps({"command": self.command, "files": files}))
        return str(self.target)


def digest(path: Path) -> str:
    """Return what tells a file's content from another: git gives files new times, not new bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def compile_all(units: Sequence[Unit]) -> list[str]:
    """Compile ``STNAS_BUILD_JOBS`` units at a time, 2 unless set, and return the objects."""
    with ThreadPoolExecutor(int(os.environ.get("STNAS_BUILD_JOBS", "2"))) as pool:
        return list(pool.map(Unit.compile, units))
