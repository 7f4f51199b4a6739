"""A step whose kernels a GPU is told of once: a CUDA graph, which is replayed for every batch."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from stnas.config import RetrainConfig

WARM_UP = 3
"""Batches that are worked on without a graph first: libraries choose their kernels meanwhile."""
Pair = tuple[Tensor, Tensor]
Work = Callable[[Tensor, Tensor], Pair]
"""Leaves the gradients of images and labels in ``grad``, and returns two tensors, unread."""


class Captured(NamedTuple):
    """A graph, and the tensors that it reads and writes wherever it is replayed."""

    graph: Any
    given: Pair
    found: Pair
    gradients: list[Tensor | None]


class StepGraph:
    """Forward and backward pass of batches of one shape as a CUDA graph.

    work: must find the same tensors at the same places whenever it is replayed, wait for nothing,
    and draw from the GPU's own generator alone. parameters: those whose gradients it leaves.
    module: torch's for the device.
    """

    def __init__(self, work: Work, parameters: Sequence[nn.Parameter], module: Any) -> None:
        self.work, self.parameters, self.module = work, parameters, module
        self.warmed = 0
        self.captured: Captured | None = None

    def __call__(self, images: Tensor, labels: Tensor) -> Pair:
        """Leave the gradients of a batch in ``grad``, which was None; return what the work does.

        The next call overwrites all of that. A batch of another shape than the one that was
        captured is worked on without the graph.
        """
        if self.warmed < WARM_UP:
            self.warmed += 1
            return self._beside(images, labels)
        if self.captured is None:  # To capture computes nothing: this batch, too, is replayed.
            self.captured = self._capture(images, labels)
        graph, given, found, gradients = self.captured
        if images.shape != given[0].shape:
            return self.work(images, labels)
        given[0].copy_(images)
        given[1].copy_(labels)
        graph.replay()
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        return found

    def _beside(self, images: Tensor, labels: Tensor) -> Pair:
        """Work on a stream of its own, where what is captured later works, too."""
        beside, now = self.module.Stream(), self.module.current_stream()
        beside.wait_stream(now)
        with self.module.stream(beside):
            found = self.work(images, labels)
        now.wait_stream(beside)
        return found

    def _capture(self, images: Tensor, labels: Tensor) -> Captured:
        given, graph = (images.clone(), labels.clone()), self.module.CUDAGraph()
        try:
            # Threads that read images may go on meanwhile.
            with self.module.graph(graph, capture_error_mode="thread_local"):
                found = self.work(*given)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise RuntimeError(
                f"a step of this network cannot be captured as a CUDA graph ({first_line(error)}): "
                "set --retrain.cuda_graph false"
            ) from error
        return Captured(graph, given, found, [own.grad for own in self.parameters])


def first_line(error: RuntimeError) -> str:
    """Return the first line of an error."""
    return str(error).partition("\n")[0]


def check_graph(options: RetrainConfig, device: torch.device) -> None:
    """Raise ValueError where the steps of a training cannot be a CUDA graph."""
    if not options.cuda_graph:
        return
    if device.type == "cpu":
        raise ValueError(
            "retrain.cuda_graph must be false on the processor, got true: set "
            "--retrain.cuda_graph false, or --device cuda where there is a GPU"
        )
    usual = RetrainConfig()
    for key in ("micro_batches", "mixup"):
        given, one = getattr(options, key), getattr(usual, key)
        if given != one:
            raise ValueError(
                f"retrain.cuda_graph must be false with retrain.{key} {given}, whose steps differ "
                "by more than their images, got true: set --retrain.cuda_graph false, or "
                f"--retrain.{key} {one}"
            )
