"""Build the compiled parts: ``stnas._core`` (torch-free) and ``stnas._C`` (torch operators).

Everything else about the package stands in ``pyproject.toml``; the C++ sources are listed once, in
``csrc/*/sources.txt``, which CMake and the emulator's build read too.

``STNAS_CUDA`` decides about the CUDA kernels: ``auto`` (where nvcc is found: ``CUDA_HOME``,
``/usr/local/cuda``, ``PATH``), ``1`` (or stop) or ``0``. ``STNAS_CUDA_ARCHS``, ``80;90`` unless
set, lists compute capabilities; the last one is also kept as PTX, for devices after it.
"""

import os
import platform
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, build_ext
from setuptools import Extension, setup

ROOT = Path(__file__).parent
# Found, not imported, which takes seconds of each of the three times that pip runs this file.
(TORCH,) = (Path(folder) for folder in find_spec("torch").submodule_search_locations)
HEADERS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "csrc").rglob("*.h"))


def sources(folder: str) -> list[str]:
    """Return the sources that ``csrc/<folder>/sources.txt`` names, relative to this file."""
    return [name for name, *_ in rows(folder) if not name.endswith(".cu") and "/cuda/" not in name]


def rows(folder: str) -> list[list[str]]:
    """Return what ``csrc/<folder>/sources.txt`` lists: sources, each with flags of its own."""
    lines = (ROOT / "csrc" / folder / "sources.txt").read_text().splitlines()
    return [f"csrc/{folder}/{line}".split() for line in lines]


def instruction_sets() -> dict[str, list[str]]:
    """Return the compiler flags of every set that ``csrc/host/isa.txt`` names for this machine."""
    machine = platform.machine().lower().replace("amd64", "x86_64")
    rows = (line.split() for line in (ROOT / "csrc/host/isa.txt").read_text().splitlines())
    return {name: flags for name, target, *flags in rows if target in ("any", machine)}


def find_nvcc() -> Path | None:
    """Return the CUDA compiler that ``STNAS_CUDA`` and the machine give, and print the decision."""
    wanted = os.environ.get("STNAS_CUDA", "auto")
    if wanted not in ("auto", "1", "0"):
        raise SystemExit(f"STNAS_CUDA must be auto, 1 or 0, got {wanted!r}")
    homes = [os.environ.get("CUDA_HOME", "/usr/local/cuda"), "/usr/local/cuda"]
    places = [*(f"{home}/bin/nvcc" for home in homes), shutil.which("nvcc") or ""]
    found = next((Path(place) for place in places if place and Path(place).is_file()), None)
    if wanted == "1" and not found:
        raise SystemExit("STNAS_CUDA=1, but no nvcc is found: set CUDA_HOME or install CUDA 13")
    if wanted == "0" or not found:
        reason = "STNAS_CUDA=0" if wanted == "0" else "no nvcc is found (CUDA_HOME, PATH)"
        print(f"stnas: no CUDA kernels, since {reason}")
        return None
    print(f"stnas: CUDA kernels for {cuda_targets()} by {found} (STNAS_CUDA={wanted})")
    return found


def cuda_archs() -> list[str]:
    """Return the compute capabilities to compile for."""
    archs = os.environ.get("STNAS_CUDA_ARCHS", "80;90").split(";")
    if not all(arch.isdigit() for arch in archs):
        raise SystemExit(f"STNAS_CUDA_ARCHS must be numbers such as 80;90, got {';'.join(archs)}")
    return archs


def cuda_targets() -> str:
    """Name what the device code is compiled for."""
    archs = cuda_archs()
    return ", ".join([*(f"sm_{arch}" for arch in archs), f"PTX {archs[-1]}"])


COUNTING = [source for source in sources("counting") if not source.endswith("binding.cpp")]
OPERATORS = ("bottleneck", "counting", "images", "layers", "sgld")

core = Pybind11Extension(
    "stnas._core",
    ["csrc/core.cpp", *sources("pareto"), *COUNTING],
    include_dirs=["csrc"],
    depends=HEADERS,
    cxx_std=20,
    extra_compile_args=["-O3", "-g0", "-Wall", "-Wextra", "-Wno-maybe-uninitialized"],
)

KERNEL_FLAGS = ["-std=c++20", "-O3", "-g0", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra"]
NVCC_FLAGS = ["-std=c++20", "-O3", "-lineinfo", "-Xcompiler=-fPIC,-fvisibility=hidden"]
# A spilled register is an error, like every other warning of the device compiler.
NVCC_FLAGS += ["-Xptxas=-warn-spills", "-Werror=all-warnings"]
# Compiled once per instruction set. The noise of sgld must have the same bits with all of them, and
# its registers are worked on side by side only where the order of the source is kept.
KERNELS = {
    "csrc/host/kernels.cpp": [],
    "csrc/sgld/cpu/kernels.cpp": ["-ffp-contract=off", "-fno-tree-ter"],
}

# LibTorch's stable ABI of 2.13 and Python's of 3.10: one binary serves every later version of both.
ops = Extension(
    "stnas._C",
    [
        "csrc/ops.cpp",
        *sources("device"),
        *sources("host"),
        *(source for operator in OPERATORS for source in sources(operator)),
    ],
    depends=[*KERNELS, *HEADERS],
    include_dirs=["csrc", str(TORCH / "include")],
    library_dirs=[str(TORCH / "lib")],
    libraries=["torch_cpu"],
    define_macros=[
        ("TORCH_TARGET_VERSION", "0x020d000000000000"),
        ("Py_LIMITED_API", "0x030A0000"),
    ],
    extra_compile_args=KERNEL_FLAGS,
    py_limited_api=True,
)


def device_rows(suffix: str) -> list[list[str]]:
    """List the sources for GPUs, for nvcc or for the host's compiler."""
    listed = [row for operator in OPERATORS for row in rows(operator)]
    return [row for row in listed if "/cuda/" in row[0] and row[0].endswith(suffix)]


class BuildKernels(build_ext):
    """Compile ``KERNELS`` once per instruction set, each with its own flags."""

    def build_extension(self, extension: Extension) -> None:
        """Build one extension; ``stnas._C`` with the objects of every set and of every device."""
        if extension is ops:
            work = [
                partial(self.kernel, source, name, [*own, *flags])
                for name, flags in instruction_sets().items()
                for source, own in KERNELS.items()
            ]
            nvcc = find_nvcc()
            if nvcc:
                self.add_cuda(nvcc)
                work += [partial(self.device_kernel, nvcc, *row) for row in device_rows(".cu")]
            with ThreadPoolExecutor(int(os.environ.get("STNAS_BUILD_JOBS", "2"))) as pool:
                objects = pool.map(lambda unit: unit(), work)
                extension.extra_objects = [item for items in objects for item in items]
        super().build_extension(extension)

    def add_cuda(self, nvcc: Path) -> None:
        """Add the bindings of the device kernels; the CUDA runtime is linked statically.

        The result needs neither CUDA's libraries nor a GPU to be imported.
        """
        libraries = [nvcc.resolve().parent.parent / name for name in ("lib64", "lib")]
        ops.sources += [name for name, *_ in device_rows(".cpp")]
        ops.library_dirs += [str(path) for path in libraries if path.is_dir()]
        ops.libraries += ["cudart_static", "dl", "rt", "pthread"]
        ops.define_macros.append(("STNAS_CUDA_TARGETS", f'"{cuda_targets()}"'))

    def device_kernel(self, nvcc: Path, source: str, *flags: str) -> list[str]:
        """Compile one source for every device and return the object file."""
        target = Path(self.build_temp) / "cuda" / f"{Path(source).name}.o"
        target.parent.mkdir(parents=True, exist_ok=True)
        archs = cuda_archs()
        code = [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in archs]
        code.append(f"-gencode=arch=compute_{archs[-1]},code=compute_{archs[-1]}")
        command = [str(nvcc), *NVCC_FLAGS, *flags, *code, "-Icsrc", "-x", "cu", "-c"]
        subprocess.run([*command, source, "-o", str(target)], check=True)
        return [str(target)]

    def kernel(self, source: str, name: str, flags: list[str]) -> list[str]:
        """Compile one source for one instruction set and return the object files."""
        return self.compiler.compile(
            [source],
            output_dir=f"{self.build_temp}/{name}",
            macros=[("STNAS_ISA", name)],
            include_dirs=["csrc"],
            depends=HEADERS,
            extra_postargs=[
                *KERNEL_FLAGS,
                "-Wno-uninitialized",
                "-Wno-maybe-uninitialized",
                *flags,
            ],
        )


ParallelCompile("STNAS_BUILD_JOBS", default=2).install()
setup(ext_modules=[core, ops], cmdclass={"build_ext": BuildKernels})
