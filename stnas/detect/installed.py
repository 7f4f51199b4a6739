"""The libraries that detection needs: torchvision and pycocotools."""

from importlib import import_module
from importlib.metadata import version
from typing import Any

import stnas
from stnas.data.trivial import lack

NEEDS = ("torchvision", "pycocotools.mask")


def check_installed() -> None:
    """Raise ImportError that says what to install, where something is missing or does not fit."""
    for name in NEEDS:
        try:
            import_module(name)
        except (ImportError, RuntimeError) as error:
            package = name.partition(".")[0]
            why = f"cannot be imported ({error}): pip install 'stnas[detection]'"
            why = lack(error) if package == "torchvision" else why
            raise ImportError(f"detection needs {package}, which {why}") from error


def part_of(name: str) -> Any:
    """Return a class or function of torchvision or pycocotools, by its whole name."""
    module, _, own = name.rpartition(".")
    return getattr(import_module(module), own)


def versions() -> dict[str, str]:
    """Return the versions of what computes a detector and its scores."""
    own = {name: version(name) for name in ("torch", "torchvision", "pycocotools")}
    return {"stnas": stnas.__version__, **own}
