"""Build the compiled parts: ``stnas._core`` (torch-free) and ``stnas._C`` (torch operators).

Everything else about the package stands in ``pyproject.toml``; ``csrc/units.py`` says where the
sources and the instruction sets are listed. Only what changed is compiled again. The variables
``STNAS_CUDA``, ``STNAS_CUDA_ARCHS``, ``STNAS_ISAS``, ``STNAS_DEBUG`` and ``STNAS_BUILD_JOBS`` are
explained in ``docs/kernels.md``.
"""

import os
import shutil
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import pybind11
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

sys.path.insert(0, str(Path(__file__).parent / "csrc"))
from units import (
    CSRC,
    InstructionSet,
    Source,
    Unit,
    compile_all,
    instruction_sets,
    macro,
    operators,
    sources,
)

# Found, not imported, which takes seconds of each of the three times that pip runs this file.
(TORCH,) = (Path(folder) for folder in find_spec("torch").submodule_search_locations)


def switch(name: str, default: str, choices: tuple[str, ...]) -> str:
    """Return the value of an environment variable that has few."""
    value = os.environ.get(name, default)
    if value not in choices:
        raise SystemExit(
            f"{name} must be {', '.join(choices[:-1])} or {choices[-1]}, got {value!r}"
        )
    return value


def has_gpu() -> bool:
    """Tell whether NVIDIA's driver has a GPU here; below Windows it is ``/dev/dxg``."""
    listed = Path("/proc/driver/nvidia/gpus").is_dir() or Path("/dev/dxg").exists()
    return listed or any(Path("/dev").glob("nvidia[0-9]*"))


def find_nvcc() -> Path | None:
    """Return the CUDA compiler that ``STNAS_CUDA`` and the machine give, and print the decision.

    Unless it is asked for, nothing is compiled for GPUs where there is none.
    """
    wanted = switch("STNAS_CUDA", "auto", ("auto", "1", "0"))
    homes = [os.environ.get("CUDA_HOME", "/usr/local/cuda"), "/usr/local/cuda"]
    places = [*(f"{home}/bin/nvcc" for home in homes), shutil.which("nvcc") or ""]
    found = next((Path(place) for place in places if place and Path(place).is_file()), None)
    if wanted == "1" and not found:
        raise SystemExit("STNAS_CUDA=1, but no nvcc is found: set CUDA_HOME or install CUDA 13")
    reason = None
    if wanted == "0":
        reason = "STNAS_CUDA=0"
    elif not found:
        reason = "no nvcc is found (CUDA_HOME, PATH)"
    elif wanted == "auto" and not has_gpu():
        reason = "no GPU is found; STNAS_CUDA=1 compiles them nevertheless"
    if reason:
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


DEBUG = switch("STNAS_DEBUG", "0", ("0", "1")) == "1"
ISAS = instruction_sets(os.environ.get("STNAS_ISAS", ""))
INCLUDES = (f"-I{CSRC}", f"-I{sysconfig.get_path('include')}")
FLAGS = ("-std=c++20", "-O3", "-g0", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra")
UNINITIALIZED = ("-Wno-uninitialized", "-Wno-maybe-uninitialized")
# Last on the command line, where it overrules the others.
LATE = ("-O0", "-g", "-UNDEBUG", "-D_GLIBCXX_ASSERTIONS") if DEBUG else ()
# A spilled register is an error, like every other warning of the device compiler.
NVCC_FLAGS = ("-std=c++20", "-O3", "-lineinfo", "-Xcompiler=-fPIC,-fvisibility=hidden")
NVCC_FLAGS += ("-Xptxas=-warn-spills", "-Werror=all-warnings")
# LibTorch's stable ABI of 2.13 and Python's of 3.10: one binary serves every later version of both.
STABLE = ("-DTORCH_TARGET_VERSION=0x020d000000000000", "-DPy_LIMITED_API=0x030A0000")

core = Extension("stnas._core", [], language="c++")
ops = Extension(
    "stnas._C",
    [],
    library_dirs=[str(TORCH / "lib")],
    libraries=["torch_cpu"],
    language="c++",
    py_limited_api=True,
)


class BuildKernels(build_ext):
    """Compile the units of an extension that changed, and link it."""

    def build_extension(self, extension: Extension) -> None:
        """Build one extension; ``stnas._C`` with the objects of every set and of every device."""
        units = self.core_units() if extension is core else self.operator_units()
        extension.extra_objects = compile_all(units)
        self.force = self.compiler.force = (
            True  # Linking takes a second; a switch may have changed.
        )
        super().build_extension(extension)

    def unit(self, source: Source, folder: str, *flags: str) -> Unit:
        """Return how the host's compiler makes an object of a source."""
        compiler = getattr(self.compiler, "compiler_so_cxx", self.compiler.compiler_so)
        target = self.objects(folder) / source.path.relative_to(CSRC).with_suffix(".o")
        return Unit(source.path, target, (*compiler, *INCLUDES, *flags, *source.flags, *LATE))

    def objects(self, folder: str) -> Path:
        """Return where objects of a kind lie: in ``build`` after an editable install, too.

        What that compiled serves the next ``python setup.py build_ext --inplace``.
        """
        place = Path(self.build_temp).absolute()
        if self.editable_mode:
            place = CSRC.parent / "build" / f"temp.{self.plat_name}-{sys.implementation.cache_tag}"
        return place / ("debug" if DEBUG else "release") / folder

    def core_units(self) -> list[Unit]:
        """List what ``stnas._core`` is made of."""
        flags = (*FLAGS, UNINITIALIZED[1], f"-I{pybind11.get_include()}")
        parts = [Source(CSRC / "core.cpp", ()), *sources("counting", "pareto")]
        parts = [part for part in parts if not (part.is_for_gpus or part.path.stem == "binding")]
        return [self.unit(part, "core", *flags) for part in parts]

    def operator_units(self) -> list[Unit]:
        """List what ``stnas._C`` is made of, what takes longest first."""
        nvcc = find_nvcc()
        every = [
            Source(CSRC / "ops.cpp", ()),
            *sources(*(name for name in operators() if name != "pareto")),
        ]
        kernels = [part for part in every if part.is_for_each_set]
        devices = [part for part in every if part.path.suffix == ".cu" and nvcc]
        others = [part for part in every if part.path.suffix == ".cpp" and part not in kernels]
        host = (*FLAGS, *STABLE, "-isystem", str(TORCH / "include"), macro(ISAS))
        if nvcc:
            self.link_with_cuda(nvcc)
            host += (f'-DSTNAS_CUDA_TARGETS="{cuda_targets()}"',)
        return [
            *(self.kernel(part, isa) for part in kernels for isa in reversed(ISAS)),
            *(self.device_unit(part, nvcc) for part in devices),
            *(self.unit(part, "ops", *host) for part in others if nvcc or not part.is_for_gpus),
        ]

    def kernel(self, source: Source, isa: InstructionSet) -> Unit:
        """Return how a source is compiled for one instruction set."""
        flags = (*FLAGS, *UNINITIALIZED, f"-DSTNAS_ISA={isa.name}", *isa.flags)
        return self.unit(source, isa.name, *flags)

    def device_unit(self, source: Source, nvcc: Path) -> Unit:
        """Return how nvcc compiles a source for every device."""
        archs = cuda_archs()
        code = [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in archs]
        code.append(f"-gencode=arch=compute_{archs[-1]},code=compute_{archs[-1]}")
        command = (str(nvcc), *NVCC_FLAGS, *source.flags, *code, f"-I{CSRC}")
        return Unit(source.path, self.objects("cuda") / f"{source.path.stem}.o", command)

    def link_with_cuda(self, nvcc: Path) -> None:
        """Link the CUDA runtime statically.

        The result needs neither CUDA's libraries nor a GPU to be imported.
        """
        libraries = [nvcc.resolve().parent.parent / name for name in ("lib64", "lib")]
        ops.library_dirs += [str(path) for path in libraries if path.is_dir()]
        ops.libraries += ["cudart_static", "dl", "rt", "pthread"]


setup(ext_modules=[core, ops], cmdclass={"build_ext": BuildKernels})
