"""One-shot topological neural architecture search with a stabilised share-parameter proxy."""

from importlib import import_module
from typing import TYPE_CHECKING

try:
    import_module("stnas._core")
except ImportError as error:
    raise ImportError(
        "stnas._core, the compiled part of stnas, is missing or does not load: build it with "
        "`pip install .` or, in a source tree, with `python setup.py build_ext --inplace` "
        f"(cause: {error})"
    ) from error

if TYPE_CHECKING:
    from stnas.classifier import Classifier, load
    from stnas.classifier.backbone import backbone, register_timm
    from stnas.config import Config, Kernels
    from stnas.detect import detector, load_detector
    from stnas.ops.flops import count_madds
    from stnas.pipeline.configuration import configure
    from stnas.pipeline.run import Run, run
    from stnas.space import AdditiveCost, Cost, Layer, Part, SearchSpace, SpaceBuilder
    from stnas.supernet.blocks import MakeNorm, build
    from stnas.supernet.load import load_network

    __version__: str

__all__ = [
    "AdditiveCost",
    "Classifier",
    "Config",
    "Cost",
    "Kernels",
    "Layer",
    "MakeNorm",
    "Part",
    "Run",
    "SearchSpace",
    "SpaceBuilder",
    "__version__",
    "backbone",
    "build",
    "configure",
    "count_madds",
    "detector",
    "load",
    "load_detector",
    "load_network",
    "register_timm",
    "run",
]
SPACE = ("AdditiveCost", "Cost", "Layer", "Part", "SearchSpace", "SpaceBuilder")
HOMES = {
    **dict.fromkeys(SPACE, "stnas.space"),
    **dict.fromkeys(("MakeNorm", "build"), "stnas.supernet.blocks"),
    **dict.fromkeys(("Classifier", "load"), "stnas.classifier"),
    **dict.fromkeys(("backbone", "register_timm"), "stnas.classifier.backbone"),
    **dict.fromkeys(("Config", "Kernels"), "stnas.config"),
    **dict.fromkeys(("detector", "load_detector"), "stnas.detect"),
    **dict.fromkeys(("Run", "run"), "stnas.pipeline.run"),
    "configure": "stnas.pipeline.configuration",
    "count_madds": "stnas.ops.flops",
    "load_network": "stnas.supernet.load",
}
PACKAGES = ("config", "data", "ops", "space", "supernet")
"""What users reach as ``stnas.ops`` and the like."""


def _version() -> str:
    """Return the version of the installed package."""
    metadata = import_module("importlib.metadata")
    try:
        return str(metadata.version("stnas"))
    except metadata.PackageNotFoundError:
        return "0+not.installed"


def __getattr__(name: str) -> object:
    """Import a public name at its first use, so that `import stnas` does not load torch."""
    if name == "__version__":
        return _version()
    if name in HOMES:
        return getattr(import_module(HOMES[name]), name)
    if name in PACKAGES:
        return import_module(f"stnas.{name}")
    raise AttributeError(f"module 'stnas' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, those not imported yet included."""
    return sorted({*globals(), *__all__, *PACKAGES})
