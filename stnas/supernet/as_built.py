"""When compiled operators may stand in for the layers of a module.

A module that is built of PyTorch's layers may be computed by one operator while its layers only
hold the tensors. People hook, prune, wrap, freeze, quantise and trace layers, though, and then each
has to be called. So a forward pass asks twice, in some microseconds: is it one of plain numbers,
and are the layers still those that were built?
"""

from collections.abc import Iterable, Sequence
from itertools import repeat
from operator import contains, itemgetter
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.modules.module import _has_any_global_hook
from torch.utils.hooks import RemovableHandle

from stnas.group import device
from stnas.ops.dtypes import COMPUTE
from stnas.ops.layers.reference import EPS

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
SETTINGS = itemgetter("stride", "padding", "dilation", "groups", "padding_mode")
"""What a convolution depends on besides its tensors."""
PLAIN = frozenset((Tensor, nn.Parameter))


class AsBuilt:
    """The layers of a module as they were built: the modules, their types and their settings."""

    def __init__(self, module: nn.Module) -> None:
        self.layers = tuple(module.children())
        self.kinds = tuple(map(type, self.layers))
        self.settings = tuple(
            (layer, SETTINGS(layer.__dict__))
            for layer in self.layers
            if isinstance(layer, nn.Conv2d)
        )
        self.hooks = -1

    def __getstate__(self) -> dict[str, Any]:
        """Keep everything but what was found in this process."""
        return {**self.__dict__, "hooks": -1}

    def holds(self, module: nn.Module) -> bool:
        """Tell whether the module's layers are still these, as they were, and nobody watches."""
        layers = tuple(module._modules.values())
        if layers != self.layers or tuple(map(type, layers)) != self.kinds:
            return False
        for layer, given in self.settings:
            if SETTINGS(layer.__dict__) != given or layer._parameters.get("bias") is not None:
                return False
        # Whoever adds a hook takes the next number, so that the others need no look at each layer.
        if self.hooks != RemovableHandle.next_id:
            if not all(is_unwatched(layer) for layer in self.layers):
                return False
            self.hooks = RemovableHandle.next_id
        states = [layer.__dict__ for layer in self.layers]
        return not any(map(contains, states, repeat("forward")))


def is_unwatched(module: nn.Module) -> bool:
    """Tell whether nothing but its own ``forward`` happens when the module is called."""
    state = module.__dict__
    return not any(map(state.__getitem__, HOOKS)) and "forward" not in state


def is_plain(x: object) -> bool:
    """Tell whether a forward pass of x computes numbers, and is not traced or transformed.

    Not by torch.compile, torch.export, torch.jit.trace, torch.fx, a transform of torch.func or
    forward-mode differentiation; nor do hooks for all modules watch it.
    """
    return not torch.compiler.is_compiling() and (
        type(x) is Tensor
        and torch._C._get_tracing_state() is None
        and torch._C._functorch.maybe_current_level() is None
        and forward_ad._current_level < 0
        and not _has_any_global_hook()  # type: ignore[no-untyped-call]
    )


def are_plain(weights: Iterable[Tensor | None]) -> bool:
    """Tell whether these are tensors of numbers, and no tensor that computes in its own way."""
    return PLAIN.issuperset(map(type, weights))


def have_kernels(x: Tensor, weight: Tensor, norm: nn.BatchNorm2d) -> bool:
    """Tell whether the operators have kernels for the device and the dtypes of a module."""
    if x.dtype is torch.float32 and x.is_cpu:
        return True
    running = norm._buffers["running_mean"]
    return (
        weight.dtype in COMPUTE
        and weight.device.type in ("cpu", device.GPU, "meta")
        and (running is None or running.dtype is COMPUTE[weight.dtype])
    )


def takes_batch(norm: nn.BatchNorm2d) -> bool:
    """Tell whether a BN layer normalises by the statistics of the batch."""
    return norm.training or norm._buffers["running_mean"] is None


def agree(norms: Sequence[nn.BatchNorm2d]) -> bool:
    """Tell whether BN layers are in one state: one mode, one momentum, statistics or none."""
    first, *rest = map(_state, norms)
    _, _, eps, without_mean, without_variance, tracked, _ = first
    ordinary = eps == EPS and without_mean == without_variance != tracked
    return ordinary and rest == [first] * len(rest)


def _state(layer: nn.BatchNorm2d) -> tuple[Any, ...]:
    state = layer.__dict__
    buffers, momentum, training = state["_buffers"], state["momentum"], state["training"]
    cumulative = momentum is None and training and buffers["num_batches_tracked"] is not None
    return (
        training,
        momentum,
        state["eps"],
        buffers["running_mean"] is None,
        buffers["running_var"] is None,
        state["track_running_stats"],
        int(buffers["num_batches_tracked"]) if cumulative else 0,
    )
