"""A CUDA graph of the emulated GPU: what a captured step tells the device, carried out again.

As on a GPU, to capture computes nothing: what was there before is put back, what the step made
holds NaN until it is replayed, and a step that waits, or that is told of a new seed, is refused.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Graph:
    """Operators with the tensors that they were given and gave, in their order."""

    capturing = False
    captured = 0
    replayed = 0

    def __init__(self) -> None:
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def replay(self) -> None:
        """Carry the operators out: their results come to where they were captured."""
        Graph.replayed += 1
        with torch._C._AutoDispatchBelowADInplaceOrView():
            for operator, given, options, kept in self.calls:
                found = operator(*given, **options)
                if not is_written(operator):
                    for place, value in zip(tensors_of(kept), tensors_of(found), strict=True):
                        place.copy_(value)


def tensors_of(values: Any) -> list[Tensor]:
    """List the tensors among values."""
    return [value for value in tree_leaves(values) if isinstance(value, Tensor)]


def is_written(operator: Any) -> bool:
    """Tell whether an operator returns what it has written to."""
    return any(r.alias_info is not None for r in operator._schema.returns)


def writes(operator: Any) -> list[int]:
    """List the places of the arguments that an operator writes to."""
    if operator._schema.name == "aten::native_batch_norm":  # Its schema does not say so.
        return [3, 4]
    arguments = operator._schema.arguments
    return [n for n, a in enumerate(arguments) if a.alias_info and a.alias_info.is_write]


def is_view(operator: Any) -> bool:
    """Tell whether an operator returns other sizes and strides of its argument alone."""
    returned = operator._schema.returns
    return not writes(operator) and any(r.alias_info is not None for r in returned)


class Recorder(TorchDispatchMode):
    """Records what is done, and keeps what the first change of a tensor has replaced."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self.before: dict[int, tuple[Tensor, Tensor]] = {}
        self.own: dict[int, Tensor] = {}

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        """Carry out an operator, and remember it; views stay where they are."""
        kwargs = kwargs or {}
        for place in writes(operator):
            given = args[place] if place < len(args) else None
            given = kwargs.get(operator._schema.arguments[place].name) if given is None else given
            for tensor in tensors_of(given):
                if not self._is_own(tensor):
                    self.before.setdefault(id(tensor), (tensor, tensor.clone()))
        found = operator(*args, **kwargs)
        if is_view(operator):
            return found
        if not is_written(operator):
            self.own |= {t.untyped_storage().data_ptr(): t for t in tensors_of(found)}
        self.graph.calls.append((operator, args, kwargs, found))
        return found

    def _is_own(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage().data_ptr() in self.own


@contextmanager
def capturing(graph: Graph, **_: str) -> Iterator[None]:
    """Record what is begun inside; nothing of it has happened, or was drawn, afterwards."""
    before = torch.ops.stnas_gpu.waits(False)
    Graph.capturing = True
    recorder, numbers = Recorder(graph), torch.get_rng_state()
    try:
        with recorder:
            yield
    finally:
        Graph.capturing = False
        torch.set_rng_state(numbers)
    if torch.ops.stnas_gpu.waits(False) > before:
        raise RuntimeError(
            "operation not permitted when stream is capturing\n" + torch.ops.stnas_gpu.waited_for()
        )
    Graph.captured += 1
    for tensor in recorder.own.values():
        if tensor.is_floating_point():
            tensor.detach().fill_(float("nan"))
    for tensor, value in reversed(list(recorder.before.values())):
        tensor.detach().copy_(value)


def seeded(*_: object) -> None:
    """Take a seed; refused while a graph is captured."""
    if Graph.capturing:
        raise RuntimeError("Cannot call CUDAGeneratorImpl::set_current_seed during graph capture")
