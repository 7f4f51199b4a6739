"""Multiply-adds of any PyTorch module, as PyTorch's own counter sees them."""

import operator
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
)
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

from stnas.ops.hollow import hollow_copy
from stnas.ops.madds_formulas import is_priced, madds_of

OTHER_WAYS = (
    "count the module that this one was compiled, scripted or quantised from, or run it on an"
    " example under torch.utils.flop_counter.FlopCounterMode(): twice the multiply-adds of what"
    " it knows"
)


def count_madds(
    module: nn.Module, input_shape: Sequence[Any], *, dtype: torch.dtype | None = None
) -> int:
    """Count the multiply-adds of one forward pass: ``FlopCounterMode / 2``.

    input_shape: one example without the batch, such as ``(3, 224, 224)``; several of them,
    ``[(3,), (4,)]``, for a module of several inputs. dtype: of the inputs, that of the module's
    weights if None; ``torch.int64`` for indices. Convolutions, linear, bilinear and recurrent
    layers, attention and matrix products count; bias, BN, activation, pooling, interpolation and
    sums do not. Weights count as those that a forward pass uses: pruned ones whole, and what a
    parametrization or a norm computes them from not at all. The module runs in evaluation mode as
    a copy without data: it is not computed and not changed, but its hooks are called. Raises
    TypeError or ValueError for a shape that the module does not take, for an operator whose cost
    is not known, such as a Fourier transform, and for a module that decides by values.
    """
    return sum(madds_by_layer(module, input_shape, dtype=dtype).values())


def madds_by_layer(
    module: nn.Module, input_shape: Sequence[Any], *, dtype: torch.dtype | None = None
) -> dict[str, int]:
    """Return the multiply-adds of each submodule's own operators, by its qualified name.

    Arguments and errors as in ``count_madds``, the sum of the values. Submodules without any are
    left out; the name of the module itself is "". A submodule that stands in several places has
    the name of the first.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be an nn.Module, got {module!r}: pass a built network")
    shapes = _checked_shapes(input_shape)
    counter = _Counter()
    with _disable_current_modes():
        fake = FakeTensorMode(allow_non_fake_inputs=True)
        hollow = hollow_copy(module, fake).eval()
        _watch(hollow, counter.inside)
        with torch.no_grad(), torch.random.fork_rng(devices=()), fake:
            kind = dtype or _dtype(hollow)
            inputs = [torch.empty(1, *shape, dtype=kind, device="cpu") for shape in shapes]
            try:
                with _eager(), _Unfused(), counter:
                    hollow(*inputs)
            except Exception as error:
                raise counter.refusal or _refusal(module, input_shape, error) from error
    if counter.refusal:
        raise counter.refusal
    return {name: madds for name, madds in counter.by_layer.items() if madds}


def _refusal(module: nn.Module, input_shape: Sequence[Any], error: Exception) -> ValueError:
    """Say why a module cannot run without data, and the way out."""
    name, told = type(module).__name__, " ".join(str(error).split())
    cause = f"(cause: {type(error).__name__}: {told})"
    if isinstance(error, DataDependentOutputException | DynamicOutputShapeException):
        return ValueError(
            f"module must compute the same whatever the values, but {name} reads them: "
            f"{OTHER_WAYS} {cause}"
        )
    return ValueError(
        f"input_shape must suit {name}, got {input_shape}: give the shape of one example, such as"
        f" (channels, height, width), and dtype=torch.int64 for indices; where it does suit, "
        f"{OTHER_WAYS} {cause}"
    )


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the multiply-adds of every operator, by the layer that calls it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.by_layer: dict[str, int] = {}
        self.inside = [""]
        self.refusal: ValueError | None = None
        self.without_data: dict[int, torch.UntypedStorage] = {}

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if kwargs.get("device") is not None:
            kwargs["device"] = torch.device("cpu")
        if function.namespace != "prim" and not is_priced(function):
            with self:
                parts = function.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        out = self._computed(function, args, kwargs)
        madds = madds_of(function, args, kwargs, out)
        if madds is None:
            self.refusal = self.refusal or _unpriced(function, self.inside[-1])
            raise self.refusal
        self.by_layer[self.inside[-1]] = self.by_layer.get(self.inside[-1], 0) + madds
        return out

    def _computed(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Compute what depends on no input and no weight, and the shapes alone of all else."""
        real = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        hollow = any(isinstance(t, FakeTensor) or _place(t) in self.without_data for t in real)
        if not hollow and torch.Tag.nondeterministic_seeded not in function.tags:
            with _disable_current_modes():
                return function(*args, **kwargs)
        if function._schema.is_mutable:
            storages = [t.untyped_storage() for t in real if not isinstance(t, FakeTensor)]
            self.without_data |= {storage._cdata: storage for storage in storages}
        return function(*args, **kwargs)


def _place(tensor: Tensor) -> int:
    strided = tensor.layout == torch.strided
    return tensor.untyped_storage()._cdata if strided else 0


def _unpriced(function: Any, layer: str) -> ValueError:
    name = function._overloadpacket._qualified_op_name.replace("::", ".")
    return ValueError(
        f"module must compute by operators of known cost, got torch.ops.{name} in the layer "
        f"{layer!r}: give it one by torch.utils.flop_counter.register_flop_formula("
        f"torch.ops.{name})(lambda *sizes, out_shape, **_: FLOPS), two FLOPs a multiply-add, or "
        "count the module that this one was compiled, scripted or quantised from"
    )


class _Unfused(TorchFunctionMode):
    """Keeps attention from its fused forms, which it takes where nobody watches."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        return function(*args, **(kwargs or {}))


def _eager() -> AbstractContextManager[Any]:
    """Have compiled parts of a module run as they were written."""
    compiles = "torch._dynamo" in sys.modules
    return torch.compiler.set_stance("force_eager") if compiles else nullcontext()


def _watch(hollow: nn.Module, inside: list[str]) -> None:
    """Add hooks that keep the name of the module that runs last in the list."""

    def leave(*_: Any) -> None:
        inside.pop()

    for name, part in hollow.named_modules():
        if not isinstance(part, torch.jit.ScriptModule):
            part.register_forward_pre_hook(lambda _own, _in, name=name: inside.append(name))
            part.register_forward_hook(leave, always_call=True)


def _dtype(module: nn.Module) -> torch.dtype:
    """Return the dtype of the first weights or buffers, PyTorch's own where there are none."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point() or tensor.is_complex():
            return tensor.dtype
    return torch.get_default_dtype()


def _checked_shapes(input_shape: Sequence[Any]) -> list[tuple[int, ...]]:
    """Return the shape of each input."""
    given = tuple(input_shape)
    several = bool(given) and all(isinstance(shape, Sequence) for shape in given)
    return [_checked_shape(shape) for shape in (given if several else (given,))]


def _checked_shape(shape: Sequence[Any]) -> tuple[int, ...]:
    sizes = []
    for size in shape:
        try:
            whole = operator.index(size)
        except TypeError:
            whole = None
        if whole is None or isinstance(size, bool):
            raise TypeError(
                f"input_shape must hold integers, got {size!r} in {shape}: write whole numbers"
            )
        if whole < 1:
            raise ValueError(
                f"input_shape must hold sizes of at least 1, got {size} in {shape}: give the"
                " shape of one example without the batch"
            )
        sizes.append(whole)
    return tuple(sizes)
