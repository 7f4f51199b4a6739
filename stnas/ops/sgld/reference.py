"""Plain twins of the SGLD step: its oracle, and the baseline of its benchmark."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stnas.ops.sgld import NoiseMode, noise_scale

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
INCREMENTS = (0x9E3779B9, 0xBB67AE85)
LOW = np.uint64(0xFFFFFFFF)
GROUP = 128
"""Elements of a group: the cosines of 32 blocks, then their sines."""


def philox(counter: NDArray[np.uint64], *, key: int) -> NDArray[np.uint64]:
    """Encrypt counters by Philox4x32-10: ``[4, n]`` of 32-bit words to the same.

    key: 64 bits. Source: Salmon et al. 2011, section 3.3.
    """
    c0, c1, c2, c3 = counter
    keys = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        p0, p1 = c0 * np.uint64(MULTIPLIERS[0]), c2 * np.uint64(MULTIPLIERS[1])
        high0, high1 = p0 >> np.uint64(32), p1 >> np.uint64(32)
        c0, c1 = high1 ^ c1 ^ np.uint64(keys[0]), p1 & LOW
        c2, c3 = high0 ^ c3 ^ np.uint64(keys[1]), p0 & LOW
        keys = [(k + i) & 0xFFFFFFFF for k, i in zip(keys, INCREMENTS, strict=True)]
    return np.stack((c0, c1, c2, c3))


def random_words(count: int, *, seed: int, step: int, tensor: int) -> NDArray[np.uint64]:
    """Return the words of blocks 0, 1, ... in order: the counter is (block, tensor, step)."""
    block = np.arange(-(-count // 4), dtype=np.uint64)
    rest = [np.full_like(block, word) for word in (tensor, step & 0xFFFFFFFF, step >> 32)]
    return philox(np.stack([block, *rest]), key=seed).T.ravel()[:count]


def standard_normal(count: int, *, seed: int, step: int, tensor: int) -> NDArray[np.float64]:
    """Draw a tensor's noise: ``sqrt(-2 ln u) (cos, sin)(pi v / 2^32 + pi s)`` in float64.

    u is 2^-31 times the low 31 bits of the words x0 and x1 of a block, made odd and rounded to
    float32 as ``stnas.ops.sgld`` does; s is their top bit. v is x2 and x3 as signed numbers.
    Source: Box & Muller 1958.
    """
    whole = -(-count // GROUP) * GROUP
    words = random_words(whole, seed=seed, step=step, tensor=tensor).reshape(-1, 4)
    u = ((words[:, :2] & np.uint64(0x7FFFFFFF)) | np.uint64(1)).astype(np.float32) * 2.0**-31
    radius = np.sqrt(-2 * np.log(u.astype(np.float64))).reshape(-1, GROUP // 2)
    signed = words[:, 2:].astype(np.uint32).view(np.int32).astype(np.float64)
    turned = (words[:, :2] >> np.uint64(31)).astype(np.float64)
    angle = (math.pi * (signed / 2**32 + turned)).reshape(-1, GROUP // 2)
    both = np.concatenate((radius * np.cos(angle), radius * np.sin(angle)), axis=1)
    return both.ravel()[:count]


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
    """Step in place as ``stnas.ops.sgld.sgld_step_`` does, operation by operation."""
    for w, grad, identity in zip(params, grads, ids, strict=True):
        scale = noise_scale(
            mode,
            lr=lr,
            temperature=temperature,
            num_data=num_data,
            rho=rho,
            steps_per_epoch=steps_per_epoch,
            rms=float(w.double().square().mean().sqrt()),
        )
        w.sub_((grad + w * weight_decay) * lr)
        if scale:
            noise = standard_normal(w.numel(), seed=seed, step=step, tensor=identity)
            w.add_(torch.from_numpy(noise).view(w.shape).to(w) * scale)
