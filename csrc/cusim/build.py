"""Build the CUDA kernels on the emulator as a library of operators, ``torch.ops.stnas_sim``.

    python csrc/cusim/build.py [--mode plain|quick|sanitized|checked|gpu] FOLDER

The same launchers and bindings as those of the product go in. ``sanitized`` looks for faults of
memory and undefined behaviour with the compiler's own runtime, which must be loaded first;
``checked`` puts the emulator's checker behind every load and store of a kernel; ``quick`` compiles
fast, for mutants. ``gpu`` builds another library: torch's device ``emulated``, which computes the
operators of stnas by the emulator's. Prints the path of the library. What is newer than all that
went into it is kept.
"""

import argparse
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from units import CSRC, Unit, compile_all, operators, sources

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
HOST = ("ops", "host/team")
HOST += tuple(f"counting/cpu/{name}" for name in ("counting", "lookups", "registers"))


def torch_folder(name: str) -> str:
    """Return a folder of torch, which takes longer to import than a kernel to compile."""
    found = find_spec("torch")
    assert found is not None
    assert found.origin is not None
    return str(Path(found.origin).parent / name)


def includes() -> list[str]:
    """Return the options that find the headers."""
    folders = [str(CSRC), torch_folder("include"), sysconfig.get_path("include")]
    return [option for folder in folders for option in ("-isystem", folder)]


def parts(mode: str) -> list[tuple[Path, tuple[str, ...]]]:
    """List every source with its own options; the machine comes first in the link.

    Where both the machine and a kernel have a template of the standard library, the one without the
    checker's instrumentation must be kept.
    """
    machine = [*MACHINE, *CHECKER.get(mode, ("unchecked",)), "binding"]
    plain = MODES[mode] if mode == "sanitized" else ()
    host = [CSRC / f"cusim/{name}.cpp" for name in machine]
    host += [CSRC / f"{name}.cpp" for name in HOST]
    listed = [source.path for source in sources(*operators()) if source.is_for_gpus]
    host += [path for path in listed if path.suffix == ".cpp"]
    devices = [path for path in listed if path.suffix == ".cu"]
    return [(path, plain) for path in host] + [(path, MODES[mode]) for path in devices]


def unit(source: Path, options: tuple[str, ...], into: Path) -> Unit:
    """Return how a source is compiled."""
    name = "_".join(source.relative_to(CSRC).with_suffix(".o").parts)
    return Unit(source, into / name, ("g++", *KEPT, *options, *DEFINES, *includes(), "-x", "c++"))


def build(into: Path, *, mode: str = "plain") -> Path:
    """Build the library of a mode in a folder and return its path."""
    into.mkdir(parents=True, exist_ok=True)
    objects = compile_all([unit(*part, into) for part in parts(mode)])
    library = into / f"stnas_sim_{mode}.so"
    made = library.stat().st_mtime if library.exists() else 0
    if all(Path(file).stat().st_mtime < made for file in objects):
        return library
    sanitizers = MODES[mode][:1] if mode == "sanitized" else ()
    command = ["g++", "-shared", "-pthread", *sanitizers, *objects, "-ltorch_cpu"]
    subprocess.run([*command, "-L", torch_folder("lib"), "-o", str(library)], check=True)
    return library


def build_gpu(into: Path) -> Path:
    """Build torch's device ``emulated`` in a folder and return the library's path."""
    into.mkdir(parents=True, exist_ok=True)
    options = ("g++", "-O0", "-g1", "-std=c++20", "-fPIC", *includes())
    api = ("-isystem", torch_folder("include/torch/csrc/api/include"))
    names = ("gpu", "gpu_memory")
    objects = compile_all(
        [Unit(CSRC / f"cusim/{name}.cpp", into / f"{name}.o", (*options, *api)) for name in names]
    )
    library = into / "stnas_gpu.so"
    made = library.stat().st_mtime if library.exists() else 0
    if not all(Path(file).stat().st_mtime < made for file in objects):
        torch_libraries = ("-L", torch_folder("lib"), "-lc10", "-ltorch_cpu")
        subprocess.run(
            ["g++", "-shared", *objects, *torch_libraries, "-o", str(library)], check=True
        )
    return library


def main() -> None:
    """Build what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("into", type=Path)
    parser.add_argument("--mode", choices=(*MODES, "gpu"), default="plain")
    options = parser.parse_args()
    made = options.mode == "gpu"
    print(build_gpu(options.into) if made else build(options.into, mode=options.mode))


if __name__ == "__main__":
    main()
