"""Random streams as pure functions of the seed and of what they are for."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from stnas.group.device import backend


def derive(seed: int, *words: str | int) -> int:
    """Return a seed in [0, 2^63) for one purpose, such as ``derive(seed, "augment", step)``."""
    text = "/".join(str(word) for word in (seed, *words))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def torch_generator(seed: int, *words: str | int) -> torch.Generator:
    """Make torch's generator for one purpose."""
    return torch.Generator().manual_seed(derive(seed, *words))


def numpy_generator(seed: int, *words: str | int) -> np.random.Generator:
    """Make numpy's generator for one purpose."""
    return np.random.Generator(np.random.Philox(derive(seed, *words)))


@contextmanager
def global_stream(seed: int, *words: str | int) -> Iterator[None]:
    """Let torch's global generator (weights, dropout) run on one purpose's stream."""
    value = derive(seed, *words)
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would queue a call, with a stack trace, for each kind of device that is
        # not in use: 100 us a step, and memory that grows with the steps.
        torch.default_generator.manual_seed(value)
        if (gpu := backend()).is_initialized():
            gpu.manual_seed_all(value)
        yield
