"""One step of stochastic gradient (Langevin) descent on the activated tensors."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

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
    """Draw ``count`` float32 numbers that depend on (seed, step, tensor) alone."""
    counter = np.array([0, 0, tensor, step], dtype=np.uint64)
    bits = np.random.Philox(key=seed, counter=counter)
    return torch.from_numpy(np.random.Generator(bits).standard_normal(count, dtype=np.float32))


@torch.no_grad()
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

    s is ``noise_scale``'s. ids: one number a tensor, which with (seed, step) determines its
    noise, whatever the order of the tensors. Tensors that are not passed do not change.
    """
    if not len(params) == len(grads) == len(ids):
        raise ValueError(
            f"params, grads and ids must have one length, got {len(params)}, {len(grads)} and "
            f"{len(ids)}"
        )
    if not params:
        return
    torch._foreach_mul_(list(params), 1 - lr * weight_decay)
    torch._foreach_add_(list(params), list(grads), alpha=-lr)
    if mode == "none":
        return
    for tensor, identity in zip(params, ids, strict=True):
        scale = noise_scale(
            mode,
            lr=lr,
            temperature=temperature,
            num_data=num_data,
            rho=rho,
            steps_per_epoch=steps_per_epoch,
            rms=float(tensor.square().mean().sqrt()),
        )
        noise = standard_normal(tensor.numel(), seed=seed, step=step, tensor=identity)
        tensor.add_(noise.view_as(tensor).to(tensor), alpha=scale)
