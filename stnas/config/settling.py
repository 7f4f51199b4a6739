"""Settle what a configuration leaves to the machine."""

import importlib.util
from dataclasses import replace

from stnas.config.data import DataConfig


def settled(config: DataConfig) -> DataConfig:
    """Return the configuration with the backend that ``auto`` stands for on this machine.

    ValueError: DALI is asked for and not installed.
    """
    if not config.streamed:
        return config
    there = dali_is_installed()
    wanted = config.backend == "dali" or config.decoder == "mixed"
    if wanted and not there:
        raise ValueError(
            f"data.backend {config.backend} with data.decoder {config.decoder} needs NVIDIA DALI, "
            "which is not installed: run pip install 'stnas[dali]' (or set data.backend pillow "
            "for a new run: its pixels differ)"
        )
    if config.backend != "auto":
        return config
    return replace(config, backend="dali" if there else "pillow")


def dali_is_installed() -> bool:
    """Tell whether DALI can be imported."""
    try:
        return importlib.util.find_spec("nvidia.dali") is not None
    except ModuleNotFoundError:
        return False
