"""A sum over processes whose order, and so whose bits, depend on nothing but their number."""

import torch
from torch import Tensor, distributed


def halve_and_double_(flat: Tensor, *, rank: int, size: int) -> None:
    """Sum by recursive halving, then gather by recursive doubling: 2 (n - 1) / n of the bytes.

    size: a power of two. In step k the ranks that differ in bit k alone swap the halves of what
    they hold, and each adds up one of them. Source: Rabenseifner, Optimization of collective
    reduction operations (ICCS 2004).
    """
    held, steps = flat, []
    for bit in range(size.bit_length() - 1):
        low, high = held.tensor_split(2)
        own, other = (high, low) if rank >> bit & 1 else (low, high)
        received = torch.empty_like(own)
        _swap(other, received, rank ^ 1 << bit)
        held = own.add_(received)
        steps.append((own, other, rank ^ 1 << bit))
    for own, other, peer in reversed(steps):
        _swap(own, other, peer)


def _swap(sent: Tensor, received: Tensor, peer: int) -> None:
    """Send a vector to another process and receive one from it."""
    sending = distributed.isend(sent, peer)
    distributed.recv(received, peer)
    assert sending is not None
    sending.wait()
