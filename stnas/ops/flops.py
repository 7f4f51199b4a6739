"""Multiply-adds of any PyTorch module, as PyTorch's own counter sees them."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

FLOP_FORMULAS: dict[Any, Callable[..., int]] = {}
"""FLOPs (two per multiply-add) of the package's own operators, by their overload packet."""


def count_madds(module: nn.Module, input_shape: Sequence[int]) -> int:
    """Count the multiply-adds of one forward pass: ``FlopCounterMode / 2``.

    input_shape: one example without the batch, such as ``(3, 224, 224)``. Convolutions, linear
    layers and matrix products count; bias, BN, activation, pooling and sums do not. The module
    runs in evaluation mode as a copy without data: it is not computed and not changed. Raises
    TypeError or ValueError for a shape that the module does not take.
    """
    return sum(madds_by_layer(module, input_shape).values())


def madds_by_layer(module: nn.Module, input_shape: Sequence[int]) -> dict[str, int]:
    """Return the multiply-adds of each submodule's own operators, by its qualified name.

    Arguments and errors as in ``count_madds``, the sum of the values. Submodules without any are
    left out; the name of the module itself is "". A submodule that stands in several places has
    the name of the first.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be an nn.Module, got {module!r}: pass a built network")
    shape = _check_shape(input_shape)
    hollow = _meta_copy(module).eval()
    counter = FlopCounterMode(display=False, custom_mapping=FLOP_FORMULAS)
    own = _watch(hollow, counter)
    try:
        with torch.no_grad(), counter:
            hollow(torch.empty(1, *shape, device="meta"))
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise ValueError(
            f"input_shape must suit {type(module).__name__}, got {shape}: give the shape of one"
            f" example, such as (channels, height, width) (cause: {error})"
        ) from error
    return {name: flops // 2 for name, flops in own.items() if flops}


def _watch(hollow: nn.Module, counter: FlopCounterMode) -> dict[str, int]:
    """Add hooks that fill the returned dictionary with the FLOPs of each module's own operators."""
    own: dict[str, int] = {}
    inside = [""]

    def credit() -> None:
        counted = counter.get_total_flops() - sum(own.values())
        own[inside[-1]] = own.get(inside[-1], 0) + counted

    def enter(name: str) -> None:
        credit()
        inside.append(name)

    def leave() -> None:
        credit()
        inside.pop()

    for name, part in hollow.named_modules():
        part.register_forward_pre_hook(lambda _module, _inputs, name=name: enter(name))
        part.register_forward_hook(lambda _module, _inputs, _output: leave())
    return own


def _check_shape(input_shape: Sequence[int]) -> tuple[int, ...]:
    shape = tuple(input_shape)
    for size in shape:
        if not isinstance(size, int) or isinstance(size, bool):
            raise TypeError(
                f"input_shape must hold integers, got {size!r} in {shape}: write whole numbers"
            )
        if size < 1:
            raise ValueError(
                f"input_shape must hold sizes of at least 1, got {size} in {shape}: give the"
                " shape of one example without the batch"
            )
    return shape


def _meta_copy(module: nn.Module) -> nn.Module:
    """Copy the module with parameters and buffers on the meta device, without their data."""
    hollow: dict[int, Any] = {}
    for parameter in module.parameters():
        empty = torch.empty_like(parameter, device="meta")
        hollow[id(parameter)] = nn.Parameter(empty, requires_grad=False)
    for buffer in module.buffers():
        hollow[id(buffer)] = torch.empty_like(buffer, device="meta")
    return copy.deepcopy(module, hollow)
