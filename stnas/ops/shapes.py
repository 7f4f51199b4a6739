"""Shapes of image tensors, told without computing."""

import math

import torch
from torch import Tensor

Size = tuple[int, ...]


def out_size(x: Tensor, project: Tensor, stride: int) -> Size:
    """Return the sizes ``[N, C_out, ceil(H / stride), ceil(W / stride)]``."""
    return (x.shape[0], project.shape[0], -(-x.shape[2] // stride), -(-x.shape[3] // stride))


def empty_image(x: Tensor, size: Size) -> Tensor:
    """Return an image tensor in channels_last order, not set, with the dtype of x."""
    return torch.empty(size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


def check_count(x: Tensor, stride: int = 1) -> None:
    """Raise ValueError where a batch ``[N, C, ...]`` is too small for statistics."""
    if math.prod((x.shape[0], *(-(-size // max(1, stride)) for size in x.shape[2:]))) == 1:
        raise ValueError(
            "x must give more than 1 value per channel when training, got 1: use a larger batch"
        )
