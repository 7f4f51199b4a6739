"""Build the compiled parts: ``stnas._core`` (torch-free) and ``stnas._C`` (torch operators).

Everything else about the package stands in ``pyproject.toml``; the C++ sources are listed once, in
``csrc/core/sources.txt``, ``csrc/cpu/sources.txt`` and ``csrc/sgld/sources.txt``, which CMake reads
too.
"""

import platform
from pathlib import Path

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, build_ext
from setuptools import Extension, setup
from torch.utils import cpp_extension

ROOT = Path(__file__).parent
HEADERS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "csrc").glob("*/*.h"))


def sources(folder: str) -> list[str]:
    """Return the sources that ``csrc/<folder>/sources.txt`` names, relative to this file."""
    names = (ROOT / "csrc" / folder / "sources.txt").read_text().split()
    return [f"csrc/{folder}/{name}" for name in names]


def instruction_sets() -> dict[str, list[str]]:
    """Return the compiler flags of every set that ``csrc/cpu/isa.txt`` names for this machine."""
    machine = platform.machine().lower().replace("amd64", "x86_64")
    rows = (line.split() for line in (ROOT / "csrc/cpu/isa.txt").read_text().splitlines())
    return {name: flags for name, target, *flags in rows if target in ("any", machine)}


core = Pybind11Extension(
    "stnas._core",
    [*sources("core"), "csrc/core/bindings.cpp"],
    include_dirs=["csrc"],
    depends=HEADERS,
    cxx_std=20,
    extra_compile_args=["-O3", "-g0", "-Wall", "-Wextra", "-Wno-maybe-uninitialized"],
)

KERNEL_FLAGS = ["-std=c++20", "-O3", "-g0", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra"]
# Compiled once per instruction set. The noise of sgld must have the same bits with all of them, and
# its registers are worked on side by side only where the order of the source is kept.
KERNELS = {
    "csrc/cpu/kernels.cpp": [],
    "csrc/sgld/kernels.cpp": ["-ffp-contract=off", "-fno-tree-ter"],
}

# LibTorch's stable ABI of 2.13 and Python's of 3.10: one binary serves every later version of both.
ops = Extension(
    "stnas._C",
    ["csrc/ops.cpp", *sources("cpu"), *sources("sgld")],
    depends=[*KERNELS, *HEADERS],
    include_dirs=["csrc", *cpp_extension.include_paths()],
    library_dirs=cpp_extension.library_paths(),
    libraries=["torch_cpu"],
    define_macros=[
        ("TORCH_TARGET_VERSION", "0x020d000000000000"),
        ("Py_LIMITED_API", "0x030A0000"),
    ],
    extra_compile_args=KERNEL_FLAGS,
    py_limited_api=True,
)


class BuildKernels(build_ext):
    """Compile ``KERNELS`` once per instruction set, each with its own flags."""

    def build_extension(self, extension: Extension) -> None:
        """Build one extension; ``stnas._C`` with the objects of every instruction set."""
        if extension is ops:
            extension.extra_objects = [
                item
                for name, flags in instruction_sets().items()
                for source, own in KERNELS.items()
                for item in self.kernel(source, name, [*own, *flags])
            ]
        super().build_extension(extension)

    def kernel(self, source: str, name: str, flags: list[str]) -> list[str]:
        """Compile one source for one instruction set and return the object files."""
        return self.compiler.compile(
            [source],
            output_dir=f"{self.build_temp}/{name}",
            macros=[("STNAS_ISA", name)],
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
