"""What computes a module: a call without arguments that takes as long as its images do."""

import warnings
from collections.abc import Callable
from importlib import import_module
from io import BytesIO

import torch
from torch import Tensor, nn

from stnas.classifier.on_openvino import compiled
from stnas.config import Kernels
from stnas.config.latency import Backend
from stnas.group.device import HOST, take
from stnas.group.device import backend as gpu

Call = Callable[[], object]
NEEDS: dict[Backend, tuple[tuple[str, ...], str]] = {
    "onnx": (("onnx", "onnxruntime"), "export"),
    "openvino": (("onnx", "openvino"), "openvino"),
    "kernels": ((), ""),
    "eager": ((), ""),
}
"""Modules that a backend needs, and the extra that brings them."""


def check_installed(backend: Backend) -> None:
    """Raise ImportError that says what to install."""
    modules, extra = NEEDS[backend]
    for module in modules:
        try:
            import_module(module)
        except ImportError as error:
            raise ImportError(
                f"--backend {backend} needs {' and '.join(modules)}, got no {module} ({error}): "
                f"pip install 'stnas[{extra}]', or set --backend kernels"
            ) from error


def device_for(backend: Backend, word: str) -> torch.device:
    """Return the device that a backend computes on; ValueError: it has none of that kind."""
    if NEEDS[backend][0] and word.startswith("cuda"):
        raise ValueError(
            f"device must be cpu with --backend {backend}, which computes on processors, got "
            f"{word}: set --backend eager or kernels for a GPU"
        )
    return HOST if NEEDS[backend][0] else take(word)


def kernels_of(backend: Backend) -> Kernels:
    """Return the form of the modules that a backend computes."""
    return "fused" if backend == "kernels" else "reference"


def version_of(backend: Backend) -> str:
    """Name the program and its version."""
    if backend == "onnx":
        return f"ONNX Runtime {import_module('onnxruntime').__version__}"
    if backend == "openvino":
        return f"OpenVINO {import_module('openvino').__version__}"
    return f"torch {torch.__version__}"


def call_of(backend: Backend, module: nn.Module, images: Tensor, threads: int) -> Call:
    """Return a call that computes a module of these images by a backend, on their device.

    On a GPU the call ends when the GPU has done its work.
    """
    if backend in ("kernels", "eager"):
        laid = images.contiguous(memory_format=torch.channels_last)

        def call() -> object:
            with torch.inference_mode():
                return module(laid)

        def call_and_wait() -> None:
            call()
            gpu().synchronize()

        return call if images.device == HOST else call_and_wait
    content = onnx_of(module, images)
    if backend == "onnx":
        runtime = import_module("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        providers = ["CPUExecutionProvider"]
        session = runtime.InferenceSession(content, options, providers=providers)
        given = {"images": images.numpy()}
        return lambda: session.run(None, given)
    request, array = compiled(BytesIO(content), threads).create_infer_request(), images.numpy()
    return lambda: request.infer([array], share_inputs=True)


def onnx_of(module: nn.Module, images: Tensor) -> bytes:
    """Return a module as ONNX for one shape, by the exporter that takes a tenth of a second."""
    content = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (images,),
            content,  # type: ignore[arg-type]
            dynamo=False,
            input_names=["images"],
            verbose=False,
        )
    return content.getvalue()
