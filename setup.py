"""Build the compiled parts: ``stnas._core`` (torch-free, pybind11).

Everything else about the package stands in ``pyproject.toml``; the C++ sources are listed once, in
``csrc/core/sources.txt``, which CMakeLists.txt reads too.
"""

from pathlib import Path

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, build_ext
from setuptools import setup

ROOT = Path(__file__).parent


def sources(folder: str) -> list[str]:
    """Return the sources that ``csrc/<folder>/sources.txt`` names, relative to this file."""
    names = (ROOT / "csrc" / folder / "sources.txt").read_text().split()
    return [f"csrc/{folder}/{name}" for name in names]


core = Pybind11Extension(
    "stnas._core",
    [*sources("core"), "csrc/core/bindings.cpp"],
    include_dirs=["csrc"],
    depends=sorted(str(path.relative_to(ROOT)) for path in (ROOT / "csrc/core").glob("*.h")),
    cxx_std=20,
    extra_compile_args=["-O3", "-g0", "-Wall", "-Wextra"],
)

ParallelCompile("STNAS_BUILD_JOBS", default=2).install()
setup(ext_modules=[core], cmdclass={"build_ext": build_ext})
