"""Build the CUDA kernels on the emulator as a library of operators, ``torch.ops.stnas_sim``.

    python csrc/cusim/build.py [--mode plain|quick|sanitized|checked] FOLDER

The same launchers and bindings as those of the product go in. ``sanitized`` looks for faults of
memory and undefined behaviour with the compiler's own runtime, which must be loaded first;
``checked`` puts the emulator's checker behind every load and store of a kernel; ``quick`` compiles
fast, for mutants. Prints the path of the library. What is newer than all that went into it is kept.
"""

import argparse
import os
import subprocess
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[1]
KEPT = ("-O1", "-g1", "-std=c++20", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off")
MODES = {
    "plain": ("-O2",),
    "quick": ("-O0", "-g0"),
    "sanitized": ("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    "checked": ("-fsanitize=thread", "--param=tsan-instrument-func-entry-exit=0"),
}
DEFINES = (
    "-DSTNAS_EMULATED",
    "-DSTNAS_LIBRARY=stnas_sim",
    "-DTORCH_TARGET_VERSION=0x020d000000000000",
)
MACHINE = ("fiber", "machine", "barriers", "shared")
CHECKER = {"checked": ("checker", "symbols", "traffic")}
HOST = (
    "ops",
    "host/team",
    *(f"counting/cpu/{name}" for name in ("counting", "lookups", "registers")),
)


def listed(suffix: str) -> list[Path]:
    """Return the sources for devices that the operators list."""
    lists = sorted(SOURCES.glob("*/sources.txt"))
    names = [
        (path.parent, line.split()[0]) for path in lists for line in path.read_text().splitlines()
    ]
    return [at / name for at, name in names if name.startswith("cuda/") and name.endswith(suffix)]


def torch_folder(name: str) -> str:
    """Return a folder of torch, which takes longer to import than a kernel to compile."""
    found = find_spec("torch")
    assert found is not None
    assert found.origin is not None
    return str(Path(found.origin).parent / name)


def includes() -> list[str]:
    """Return the options that find the headers."""
    folders = [str(SOURCES), torch_folder("include"), sysconfig.get_path("include")]
    return [option for folder in folders for option in ("-isystem", folder)]


def units(mode: str) -> list[tuple[Path, tuple[str, ...]]]:
    """List every source with its own options; the machine comes first in the link.

    Where both the machine and a kernel have a template of the standard library, the one without the
    checker's instrumentation must be kept.
    """
    machine = [*MACHINE, *CHECKER.get(mode, ("unchecked",)), "binding"]
    plain = MODES[mode] if mode == "sanitized" else ()
    host = [SOURCES / f"cusim/{name}.cpp" for name in machine]
    host += [SOURCES / f"{name}.cpp" for name in HOST]
    host += listed(".cpp")
    devices = listed(".cu")
    return [(path, plain) for path in host] + [(path, MODES[mode]) for path in devices]


def is_fresh(target: Path) -> bool:
    """Tell whether an object is newer than all files that the compiler noted down for it."""
    notes = target.with_suffix(".d")
    if not (target.exists() and notes.exists()):
        return False
    files = notes.read_text().replace("\\\n", " ").partition(":")[2].split()
    made = target.stat().st_mtime
    return all(Path(file).exists() and Path(file).stat().st_mtime < made for file in files)


def compile_unit(source: Path, options: tuple[str, ...], into: Path) -> Path:
    """Compile one source, if it is not fresh, and return the object file."""
    target = into / f"{'_'.join(source.relative_to(SOURCES).with_suffix('').parts)}.o"
    if not is_fresh(target):
        command = ["g++", *KEPT, *options, *DEFINES, *includes(), "-MD", "-x", "c++", "-c"]
        subprocess.run([*command, str(source), "-o", str(target)], check=True)
    return target


def build(into: Path, *, mode: str = "plain") -> Path:
    """Build the library of a mode in a folder and return its path."""
    into.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(int(os.environ.get("STNAS_BUILD_JOBS", "2"))) as pool:
        work = [pool.submit(compile_unit, *unit, into) for unit in units(mode)]
        objects = [str(item.result()) for item in work]
    library = into / f"stnas_sim_{mode}.so"
    made = library.stat().st_mtime if library.exists() else 0
    if all(Path(file).stat().st_mtime < made for file in objects):
        return library
    sanitizers = MODES[mode][:1] if mode == "sanitized" else ()
    command = ["g++", "-shared", "-pthread", *sanitizers, *objects, "-ltorch_cpu"]
    subprocess.run([*command, "-L", torch_folder("lib"), "-o", str(library)], check=True)
    return library


def main() -> None:
    """Build what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("into", type=Path)
    parser.add_argument("--mode", choices=MODES, default="plain")
    options = parser.parse_args()
    print(build(options.into, mode=options.mode))


if __name__ == "__main__":
    main()
