"""One step of stochastic gradient (Langevin) descent on the activated tensors."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.autograd.graph import increment_version

import stnas.ops.extension  # noqa: F401

STEP = torch.ops.stnas.sgld_step_.default
NoiseMode = Literal["posterior", "relative", "literal", "none"]


def noise_scale(
    mode: NoiseMode,
    *,
    lr: float,
    temperature: float,
    num_data: int,
    rho: float = 0.0,
    steps_per_epoch: int = 1,
    rms: float = 0.0,
) -> float:
    """Return the standard deviation of a step's noise.

    posterior: ``sqrt(2 lr T / N)``; literal: ``sqrt(2 lr)``, as eq. 9 prints it, which is T = N;
    relative: ``rho * rms(w) / sqrt(steps_per_epoch)``; none: 0. Source: Welling & Teh 2011, eq. 4
    for the posterior of the summed loss with lr = epsilon N / 2; Guo et al. 2020, eq. 9.
    """
    if mode == "posterior":
        return math.sqrt(2 * lr * temperature / num_data)
    if mode == "literal":
        return math.sqrt(2 * lr)
    if mode == "relative":
        return rho * rms / math.sqrt(steps_per_epoch)
    if mode == "none":
        return 0.0
    raise ValueError(f"mode must be posterior, relative, literal or none, got {mode!r}")


def standard_normal(count: int, *, seed: int, step: int, tensor: int) -> Tensor:
    """Draw the ``count`` float32 numbers that are the noise of a tensor in a step.

    They depend on (seed, step, tensor) alone and are the same bits on every processor:
    Philox4x32-10 with the key seed and the counter (block, tensor, step), then Box-Muller, whose
    value each number meets within 2.5e-6, and 2e-7 in the root mean square. None is beyond 6.6.
    Source: Salmon et al. 2011; Box & Muller 1958.
    """
    out = torch.empty(count, dtype=torch.float32)
    torch.ops.stnas.standard_normal_(out, _signed(seed, "seed"), _signed(step, "step"), tensor)
    return out


def sgld_step_(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    lr: float,
    weight_decay: float,
    mode: NoiseMode,
    seed: int,
    step: int,
    ids: Sequence[int],
    temperature: float = 1.0,
    num_data: int = 1,
    rho: float = 0.0,
    steps_per_epoch: int = 1,
) -> None:
    """Step in place: ``w <- w - lr (grad + weight_decay w) + s eps``, eps standard normal.

    s is ``noise_scale``'s, with rms(w) taken before the step.

    params, grads: float32 or float64, all on the CPU or on one GPU, of any strides whose
    elements do not overlap. ids: one number in [0, 2^32) a tensor, which with (seed, step)
    determines its noise (``standard_normal``, in the order of the logical elements), whatever the
    order of the tensors, their memory format and the number of threads. Tensors that are not passed
    do not change. NaN and infinities in a tensor spread as the formula says.

    Raises ValueError for lists of different lengths, shapes or dtypes that do not match, parameters
    that share memory with another tensor (a gradient may be its own parameter), repeated ids, and
    numbers outside their range; RuntimeError for a GPU where no CUDA kernels were compiled.
    """
    if not len(params) == len(grads) == len(ids):
        raise ValueError(
            f"params, grads and ids must have one length, got {len(params)}, {len(grads)} and "
            f"{len(ids)}"
        )
    _check_numbers((lr, weight_decay, temperature, rho), (num_data, steps_per_epoch))
    _check_ids(ids)
    noise = noise_scale(
        mode,
        lr=lr,
        temperature=temperature,
        num_data=num_data,
        rho=rho,
        steps_per_epoch=steps_per_epoch,
        rms=1.0,
    )
    key = (_signed(seed, "seed"), _signed(step, "step"))
    if not params:
        return
    _check_kernels(params[0])
    try:
        with torch.no_grad():
            STEP(params, grads, ids, lr, weight_decay, noise, mode == "relative", *key)
    except NotImplementedError:
        _check_devices(params, grads)
        raise
    increment_version(params)


FACTORS = ("lr", "weight_decay", "temperature", "rho")
COUNTS = ("num_data", "steps_per_epoch")


def _check_numbers(factors: Sequence[float], counts: Sequence[int]) -> None:
    """Raise unless all are finite, ``FACTORS`` at least 0 and ``COUNTS`` at least 1."""
    for names, values, least in ((FACTORS, factors, 0), (COUNTS, counts, 1)):
        for name, value in zip(names, values, strict=True):
            if not least <= value < math.inf:
                raise ValueError(f"{name} must be finite and at least {least}, got {value}")


def _check_kernels(tensor: Tensor) -> None:
    """Raise unless there are kernels for the device of a tensor."""
    if tensor.is_cuda and not torch.ops.stnas.cuda_targets():
        raise RuntimeError(
            f"params are on {tensor.device}, but stnas was built without CUDA kernels: install "
            "it again with STNAS_CUDA=1 and nvcc on PATH"
        )
    if not (tensor.is_cpu or tensor.is_cuda or has_kernel(tensor.device)):
        raise ValueError(f"params[0] must be on the CPU, got {tensor.device}: move it")


def has_kernel(device: torch.device) -> bool:
    """Tell whether the step has a kernel for a kind of device."""
    key = torch._C._dispatch_key_for_device(device.type)
    return torch._C._dispatch_has_kernel_for_dispatch_key("stnas::sgld_step_", key)


def _check_devices(params: Sequence[Tensor], grads: Sequence[Tensor]) -> None:
    """Raise unless all tensors are where the first one is.

    The kernels see to it; this is for tensors by which torch chose no kernel, or the fake one.
    """
    device = params[0].device
    place = "the CPU" if device.type == "cpu" else str(device)
    for name, tensors in (("params", params), ("grads", grads)):
        for index, tensor in enumerate(tensors):
            if tensor.device != device:
                found = f"got {tensor.device}: move it"
                raise ValueError(f"{name}[{index}] must be on {place}, {found}")


def _check_ids(ids: Sequence[int]) -> None:
    if ids and not (min(ids) >= 0 and max(ids) < 2**32):
        raise ValueError(f"ids must lie in [0, 2^32), got {min(ids)} to {max(ids)}")
    if len(set(ids)) < len(ids):
        raise ValueError(f"ids must differ, or tensors would share their noise, got {list(ids)}")


def _signed(value: int, name: str) -> int:
    """Return the int64 of the same 64 bits."""
    if not 0 <= value < 2**64:
        raise ValueError(f"{name} must lie in [0, 2^64), got {value}")
    return value - 2**64 if value >= 2**63 else value


@torch.library.register_fake("stnas::sgld_step_")  # type: ignore[untyped-decorator]
def _(params: Sequence[Tensor], grads: Sequence[Tensor], *_: object) -> None:
    """Shape nothing, as the step returns nothing; refuse data beside tensors without."""
    if params:
        _check_devices(params, grads)
