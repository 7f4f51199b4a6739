"""Static quantisation of an ONNX file to int8, with ranges that training images give."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stnas.export.forms import INPUT, quiet

SIZE = 32


def quantise(source: Path, target: Path, images: Tensor) -> None:
    """Write the int8 form of an ONNX file: weights by channel, values in pairs of Q and DQ nodes.

    images: what the graph takes ``[N, C, H, W]``; they give the ranges of the values.
    """
    tools = import_module("onnxruntime.quantization")
    shapes = import_module("onnxruntime.quantization.shape_inference")

    class Reader(tools.CalibrationDataReader):  # type: ignore[misc, name-defined]
        """Hands the images out in batches, until None."""

        def __init__(self) -> None:
            parts: Iterator[Any] = ({INPUT: part.numpy()} for part in torch.split(images, SIZE))
            self.parts = parts

        def get_next(self) -> Any:
            """Return the next batch."""
            return next(self.parts, None)

    prepared = target.with_suffix(".prepared")
    try:
        with quiet():
            shapes.quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            tools.quantize_static(
                str(prepared),
                str(target),
                Reader(),
                nodes_to_exclude=before_network(prepared),
                quant_format=tools.QuantFormat.QDQ,
                per_channel=True,
                activation_type=tools.QuantType.QUInt8,
                weight_type=tools.QuantType.QInt8,
                reduce_range=True,
            )
    finally:
        prepared.unlink(missing_ok=True)


def before_network(file: Path) -> list[str]:
    """Name the nodes before the first convolution: scaling and normalisation stay float32."""
    names: list[str] = []
    for node in import_module("onnx").load(str(file)).graph.node:
        if node.op_type == "Conv":
            break
        names.append(node.name)
    return names
