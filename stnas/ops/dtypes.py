"""Dtypes of the choice block: what images are stored in, and what is computed in."""

import torch
from torch import Tensor

COMPUTE = {
    torch.float32: torch.float32,
    torch.float64: torch.float64,
    torch.bfloat16: torch.float32,
}
"""Dtype of weights, norms and sums by the dtype of x."""


def check_dtypes(x: Tensor, weight: Tensor, *, training: bool) -> None:
    """Raise TypeError unless there are kernels for an x and a weight of these dtypes."""
    if x.dtype not in COMPUTE or weight.dtype not in (x.dtype, COMPUTE[x.dtype]):
        raise TypeError(
            "x must have the dtype of the weights, float32 or float64, or be bfloat16 beside "
            f"float32, got {x.dtype} with weights of {weight.dtype}: convert one of them"
        )
    if training and x.dtype == torch.bfloat16:
        raise TypeError("x must be float32 or float64 in training, got bfloat16: call x.float()")


def widen(value: Tensor, x: Tensor) -> Tensor:
    """Return a bfloat16 value beside a bfloat16 x as float32, any other as it is."""
    return value.float() if value.dtype == x.dtype == torch.bfloat16 else value
