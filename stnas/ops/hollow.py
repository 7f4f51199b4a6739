"""A copy of a module whose tensors have shapes and dtypes but no data, to compute nothing with."""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.nn.utils import parametrize
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm
from torch.overrides import TorchFunctionMode

WEIGHT_HOOKS = (WeightNorm, SpectralNorm, BasePruningMethod)
"""Hooks that compute a weight before each forward pass, and keep it as an attribute."""


def hollow_copy(module: nn.Module, fake: FakeTensorMode) -> nn.Module:
    """Copy a module without the data of its floating-point tensors, whatever holds them.

    Integer tensors keep their data, as forward passes decide by them. Every tensor is on the CPU.
    Weights that a parametrization, a norm or a mask computes become plain ones. Raises ValueError
    for a module that cannot be copied.
    """
    memo: dict[int, Any] = {}
    for own in _parameters(module):
        memo[id(own)] = nn.Parameter(_hollow(own, fake), requires_grad=own.requires_grad)
    try:
        with _HollowTensors(fake):
            twin = copy.deepcopy(module, memo)
    except Exception as error:
        raise ValueError(
            f"module must be one that copy.deepcopy takes, got {type(module).__name__}: pass the "
            f"part of it that computes (cause: {type(error).__name__}: {error})"
        ) from error
    with fake, torch.no_grad():
        for part in twin.modules():
            _settle_weights_(part)
    return twin


def _parameters(module: nn.Module) -> Iterator[nn.Parameter]:
    for name, own in module.named_parameters():
        if nn.parameter.is_lazy(own):
            raise ValueError(
                f"module must have the shapes of its parameters, got a lazy {name}: call the "
                "module once before it is counted"
            )
        if _becomes_hollow(own):
            yield own


def _becomes_hollow(tensor: Tensor) -> bool:
    """Tell whether the data of a tensor is left out: values of weights, or there is none."""
    values = tensor.is_floating_point() or tensor.is_complex()
    empty = tensor.is_meta or isinstance(tensor, FakeTensor)
    return tensor.layout == torch.strided and (values or empty)


def _hollow(tensor: Tensor, fake: FakeTensorMode) -> Tensor:
    with fake:
        size, stride = tuple(tensor.shape), tensor.stride()
        return torch.empty_strided(size, stride, dtype=tensor.dtype, device="cpu")


class _HollowTensors(TorchFunctionMode):
    """Copies tensors without their data, and those that ``copy.deepcopy`` refuses, too."""

    def __init__(self, fake: FakeTensorMode) -> None:
        super().__init__()
        self.fake = fake

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if function is not Tensor.__deepcopy__:
            return function(*args, **(kwargs or {}))
        tensor, memo = args
        if id(tensor) not in memo:
            hollow = _becomes_hollow(tensor)
            memo[id(tensor)] = (
                _hollow(tensor, self.fake) if hollow else tensor.detach().clone().cpu()
            )
        return memo[id(tensor)]


def _settle_weights_(part: nn.Module) -> None:
    """Make plain attributes of the weights that the module computes from others."""
    if parametrize.is_parametrized(part):
        weights = {name: getattr(part, name) for name in part.parametrizations}  # type: ignore
        del part.parametrizations
        part.__class__ = type(part).__bases__[0]
        part.__dict__.update(weights)
    hooks = part._forward_pre_hooks
    for number, hook in list(hooks.items()):
        if isinstance(hook, WEIGHT_HOOKS):
            del hooks[number]
