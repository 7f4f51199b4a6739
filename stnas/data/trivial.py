"""Change whole images by one random operation each, before windows are cut out of them."""

from importlib import import_module

import torch
from torch import Tensor

from stnas.group.streams import global_stream

INSTALL = (
    "pip install torchvision (for a torch without CUDA with --index-url "
    "https://download.pytorch.org/whl/cpu)"
)
"""What repairs a lack of torchvision."""
REPLACE = INSTALL.replace("pip install", "pip install --force-reinstall --no-deps")
"""What repairs a torchvision that was built for another torch: pip takes it for good."""


def lack(error: Exception) -> str:
    """Say why torchvision cannot be used, and the repair."""
    if isinstance(error, ModuleNotFoundError):
        return f"is not installed: {INSTALL}"
    return f"does not load ({error}): {REPLACE}"


def trivially_changed(images: Tensor, *, seed: int) -> Tensor:
    """Change images uint8 ``[N, C, H, W]`` as TrivialAugment does (Mueller and Hutter 2021).

    A function of (images, seed). ImportError: torchvision is missing or does not fit to torch.
    """
    try:
        v2 = import_module("torchvision.transforms.v2")
    except (ImportError, RuntimeError) as error:
        raise ImportError(
            f"retrain.augment trivial needs torchvision, which {lack(error)}, or set "
            "retrain.augment none for a new run"
        ) from error
    change = v2.TrivialAugmentWide(interpolation=v2.InterpolationMode.BILINEAR)
    with global_stream(seed, "trivial"):
        return torch.stack([change(image) for image in images])
