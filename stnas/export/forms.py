"""The forms of a file: how each is written, and how it is computed by the program it is for."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from stnas.classifier import load
from stnas.classifier.on_openvino import compiled

Compute = Callable[[Tensor], Tensor]
"""Maps what the graph takes to logits."""
INPUT, OUTPUT = "images", "logits"


class Form(NamedTuple):
    """A form: the ending of its file, what writes it and what computes it.

    write: None for weights, which ``stnas.classifier.save`` writes. needs: modules that must be
    installed. extra: the extra of the package that brings them. engine: what computes the file.
    more: endings of files that come with it.
    """

    suffix: str
    write: Callable[[nn.Module, Tensor, Path], None] | None
    read: Callable[[Path, int], Compute]
    engine: str
    needs: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    extra: str = ""


def check_installed(word: str, form: Form) -> None:
    """Raise ImportError that says what to install, where something is missing."""
    for module in form.needs:
        try:
            import_module(module)
        except ImportError as error:
            raise ImportError(
                f"--to {word} needs {' and '.join(form.needs)}, got no {module} ({error}): "
                f"pip install 'stnas[{form.extra}]'"
            ) from error


def write_onnx(graph: nn.Module, example: Tensor, file: Path) -> None:
    """Write ONNX with a free number of images; the notes that the exporter leaves are dropped."""
    onnx = import_module("onnx")
    with quiet():
        program = torch.onnx.export(
            graph,
            (example,),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.input, model.graph):
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.checker.check_model(model, full_check=True)
    file.write_bytes(model.SerializeToString())


def read_onnx(file: Path, threads: int) -> Compute:
    """Compute a file by ONNX Runtime."""
    runtime = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def compute(images: Tensor) -> Tensor:
        (logits,) = session.run([OUTPUT], {INPUT: images.numpy()})
        return torch.from_numpy(logits)

    return compute


def write_program(graph: nn.Module, example: Tensor, file: Path) -> None:
    """Write a program of ``torch.export`` with a free number of images."""
    shapes = ({0: torch.export.Dim("batch")},)
    with quiet():
        program = torch.export.export(graph, (example,), dynamic_shapes=shapes)
        torch.export.save(program, file)


def read_program(file: Path, threads: int) -> Compute:
    """Compute a program of ``torch.export`` by torch."""
    with quiet():
        module: Any = torch.export.load(file).module()
    return without_gradients(module)


def write_openvino(graph: nn.Module, example: Tensor, file: Path) -> None:
    """Write OpenVINO's intermediate representation, float32: ``.xml`` and ``.bin``."""
    openvino = import_module("openvino")
    onnx = file.with_suffix(".onnx.part")
    try:
        write_onnx(graph, example, onnx)
        openvino.save_model(openvino.convert_model(str(onnx)), file, compress_to_fp16=False)
    finally:
        onnx.unlink(missing_ok=True)


def read_openvino(file: Path, threads: int) -> Compute:
    """Compute a file by OpenVINO, in float32."""
    model = compiled(str(file), threads, NUM_STREAMS=1)

    def compute(images: Tensor) -> Tensor:
        return torch.from_numpy(model([images.numpy()])[0].copy())

    return compute


def read_weights(file: Path, threads: int) -> Compute:
    """Compute exported weights by ``stnas.load``."""
    return without_gradients(load(file))


def without_gradients(module: nn.Module) -> Compute:
    """Return a module as a function that keeps nothing for a backward pass."""

    def compute(images: Tensor) -> Tensor:
        with torch.inference_mode():
            logits: Tensor = module(images)
            return logits

    return compute


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporters' talk about themselves from the terminal."""
    loggers = [getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


FORMS = {
    "safetensors": Form("safetensors", None, read_weights, "stnas.load"),
    "onnx": Form(
        "onnx",
        write_onnx,
        read_onnx,
        "ONNX Runtime",
        needs=("onnx", "onnxscript", "onnxruntime"),
        extra="export",
    ),
    "torch-export": Form("pt2", write_program, read_program, "torch.export"),
    "openvino": Form(
        "xml",
        write_openvino,
        read_openvino,
        "OpenVINO",
        needs=("onnx", "onnxscript", "openvino"),
        more=(".bin",),
        extra="openvino",
    ),
}
