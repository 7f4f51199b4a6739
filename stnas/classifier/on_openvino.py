"""Graphs that OpenVINO computes on the processor."""

from importlib import import_module
from io import BytesIO
from typing import Any

from stnas.group.signal_stack import kept_signal_stack


def compiled(graph: str | BytesIO, threads: int, **more: object) -> Any:
    """Compile a graph for single batches, in float32; more: options of OpenVINO.

    graph: the path of a file, or the content of one of ONNX.
    """
    options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    options |= {"PERFORMANCE_HINT": "LATENCY", **more}
    with kept_signal_stack():
        core = import_module("openvino").Core()
        return core.compile_model(core.read_model(graph), "CPU", options)
