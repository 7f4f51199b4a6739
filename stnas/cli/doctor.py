"""``stnas doctor``: versions, kernels, threads, optional parts, and what to do about each lack."""

import importlib.metadata
import importlib.util
import os
import platform

import torch

import stnas
from stnas import _core
from stnas.data import trivial
from stnas.data.loading import INSTALLED
from stnas.group.device import device_of, kind_of, targets, why_not
from stnas.store.console import ANSWERS, folding_table

LIBRARIES = ("torch", "numpy", "safetensors", "pyyaml", "rich", "plotly", "pillow")

OPTIONAL = (
    ("onnx", "onnx", "stnas export --to onnx"),
    ("onnxscript", "onnxscript", "stnas export --to onnx"),
    ("onnxruntime", "onnxruntime", "stnas export --to onnx, stnas latency --backend onnx"),
    ("openvino", "openvino", "stnas export --to openvino"),
    ("timm", "timm", "timm.create_model of found networks, stnas count of its models"),
    ("torchvision", "torchvision", "retrain.augment trivial, stnas detect, stnas count"),
    ("pycocotools", "pycocotools", "stnas detect"),
    ("nvidia.dali", "nvidia-dali-cuda130", "streaming of image folders"),
    ("tensorboard", "tensorboard", "showing the events of a run"),
)
"""Modules, packages, and what they are for."""
REPAIRS = {"torchvision": trivial.INSTALL}
"""What installs a package, where its name is not enough."""


def doctor() -> None:
    """Print one line a part: what it is here, and what to do."""
    table = folding_table("part", "here", "what to do", title="stnas doctor")
    for line in (*versions(), *compute(), *optional()):
        table.add_row(*line)
    ANSWERS.print(table)


def versions() -> list[tuple[str, str, str]]:
    """List the versions of stnas, Python and the libraries."""
    found = [(name, importlib.metadata.version(name), "") for name in LIBRARIES]
    return [
        ("stnas", stnas.__version__, ""),
        ("python", f"{platform.python_version()} on {platform.machine()}", ""),
        *found,
    ]


def compute() -> list[tuple[str, str, str]]:
    """List compiled parts, threads and devices."""
    policy = os.environ.get("OMP_WAIT_POLICY", "not set")
    advice = "" if policy == "PASSIVE" else "set OMP_WAIT_POLICY=PASSIVE if processors are shared"
    reason = why_not(0)
    rebuild = "" if targets() else "install with nvcc on PATH: STNAS_CUDA=1 pip install ."
    return [
        ("compiled core", str(_core.__file__), ""),
        ("compiled operators", f"use {torch.ops.stnas.isa()}", "STNAS_ISA forces a set"),
        ("threads", f"{torch.get_num_threads()} of {os.cpu_count()}", "--threads N sets them"),
        ("OMP_WAIT_POLICY", policy, advice),
        ("GPU kernels (CUDA)", targets() or "none", rebuild),
        ("device", kind_of(device_of("auto")), reason or "--device cpu leaves the GPU out"),
        ("images", default_images(), "--data.path takes your own"),
    ]


def default_images() -> str:
    """Name the images that are used where no path is given."""
    return f"full Fashion-MNIST in {INSTALLED}" if INSTALLED.is_dir() else "embedded Fashion-MNIST"


def optional() -> list[tuple[str, str, str]]:
    """List optional libraries."""
    lines = []
    for module, package, use in OPTIONAL:
        if not present(module):
            install = REPAIRS.get(package, f"pip install {package}")
            lines.append((package, "not installed", f"{install} (for: {use})"))
            continue
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            version = "installed"
        lines.append((package, version, ""))
    return lines


def present(module: str) -> bool:
    """Tell whether a module can be found."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
