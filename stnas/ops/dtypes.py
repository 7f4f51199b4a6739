"""Dtypes of the choice block: what images are stored in, and what is computed in."""

import torch
from torch import Tensor

COMPUTE = {
    torch.float32: torch.float32,
    torch.float64: torch.float64,
    torch.bfloat16: torch.float32,
}
"""Dtype of weights, norms and sums by the dtype of x."""


def autocast_input(x: Tensor, weight: Tensor) -> Tensor:
    """Return x in autocast's dtype, as torch's convolutions take it, where that is on.

    In the weight's dtype where that is float64, or where there are no kernels for autocast's.
    """
    if not autocasts(x):
        return x
    dtype = torch.get_autocast_dtype(place(x))
    return x.to(dtype if weight.dtype in (dtype, COMPUTE.get(dtype)) else weight.dtype)


def autocasts(x: Tensor) -> bool:
    """Tell whether autocast is on where x is."""
    return torch.is_autocast_enabled(place(x))


def place(x: Tensor) -> str:
    """Return the kind of device whose autocast x obeys; a stand-in without data the CPU's."""
    kind = x.device.type
    return "cpu" if kind == "meta" else kind


def check_dtypes(x: Tensor, weight: Tensor) -> None:
    """Raise TypeError unless there are kernels for an x and a weight of these dtypes."""
    if x.dtype not in COMPUTE or weight.dtype not in (x.dtype, COMPUTE[x.dtype]):
        raise TypeError(
            "x must have the dtype of the weights, float32 or float64, or be bfloat16 beside "
            f"float32, got {x.dtype} with weights of {weight.dtype}: convert one of them"
        )


def has_plain_kernels(x: Tensor) -> bool:
    """Tell whether the kernels that are for the CPU alone take x, or a stand-in without data."""
    return (
        x.dtype in (torch.float32, torch.float64)
        and x.device.type in ("cpu", "meta")
        and x.numel() > 0
    )


def widen(value: Tensor) -> Tensor:
    """Return a bfloat16 value as float32, any other as it is."""
    return value.float() if value.dtype == torch.bfloat16 else value
