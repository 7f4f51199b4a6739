"""The device that a process computes on: what ``device`` of the configuration means here.

Nobody else asks torch which devices there are. A GPU needs a torch that is built for it and the
kernels that stnas was built with; each process of a machine has one of its own.
"""

import os
import re
from importlib import import_module
from typing import Any

import torch

from stnas.group.processes import current

GPU = "cuda"
"""Torch's name for the devices that kernels are compiled for."""
HOST = torch.device("cpu")


def device_of(word: str) -> torch.device:
    """Return the device of this process for ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    auto: a GPU that stnas has kernels for, else the processor. Without a number every process of a
    machine takes the GPU of its own number there. ValueError: there is no such GPU, or torch or
    stnas cannot use it; it says why, and what to do.
    """
    kind, _, number = word.partition(":")
    if number and current().size > 1:
        raise ValueError(
            f"device must be auto, cpu or cuda with several processes, got {word}: each takes a "
            "GPU of its own, so leave the number out"
        )
    if kind == "cpu" or (kind == "auto" and why_not(0) is not None):
        return HOST
    index = int(number or local_rank())
    if (reason := why_not(index)) is not None:
        raise ValueError(f"device {word} cannot be used: {reason}, or set --device cpu")
    return torch.device(GPU, index)


def take(word: str) -> torch.device:
    """Return the device of this process and make it the current one of its kind.

    RuntimeError where the processes of a group have devices of several kinds.
    """
    device = device_of(word)
    current().agree("the kind of device", kind_of(device))
    if device != HOST:
        backend().set_device(device)
    return device


def backend() -> Any:
    """Return torch's module for GPUs."""
    return torch.get_device_module(GPU)


def local_rank() -> int:
    """Return the number of this process on its machine, as torchrun counts."""
    return int(os.environ.get("LOCAL_RANK", current().rank))


def why_not(index: int) -> str | None:
    """Say why a GPU cannot be used, and the repair; None where it can."""
    if GPU == "cuda" and not torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
        return (
            f"torch {torch.__version__} is built without CUDA: install one that is built with it "
            "(pytorch.org/get-started), then stnas again"
        )
    if not backend().is_available():
        return "torch finds no GPU: look at nvidia-smi, the driver and CUDA_VISIBLE_DEVICES"
    if not targets():
        return (
            "stnas was built without CUDA kernels: install it again with STNAS_CUDA=1 and nvcc "
            "on PATH"
        )
    count = backend().device_count()
    if index >= count:
        return (
            f"there are {count} GPUs here, and number {index} was asked for: choose cuda:0 to "
            f"cuda:{count - 1}, start {count} processes a machine (--nproc-per-node {count})"
        )
    return too_old(index)


def targets() -> str:
    """Return the architectures that stnas has kernels for, such as ``sm_80, sm_90, PTX 90``."""
    import_module("stnas._C")
    return str(torch.ops.stnas.cuda_targets())


def too_old(index: int) -> str | None:
    """Say that a GPU is older than all compiled kernels, and the repair; None: it is not."""
    major, minor = backend().get_device_capability(index)
    own, least = 10 * major + minor, min(map(int, re.findall(r"sm_(\d+)", targets())))
    if own >= least:
        return None
    return (
        f"{backend().get_device_name(index)} is of sm_{own}, older than the compiled {targets()}: "
        f"install stnas again with STNAS_CUDA=1 STNAS_CUDA_ARCHS={own}"
    )


def kind_of(device: torch.device) -> str:
    """Name a device for people and records: ``cpu``, or a GPU's kind and model."""
    if device == HOST:
        return "cpu"
    return f"{device.type}, {backend().get_device_name(device.index)}"


def described(word: str) -> str:
    """Say which device a stage computes on, and why it is the processor where nobody asked."""
    device = device_of(word)
    reason = why_not(0) if word == "auto" and device == HOST else None
    return kind_of(device) + ("" if reason is None else f" ({reason.partition(':')[0]})")
