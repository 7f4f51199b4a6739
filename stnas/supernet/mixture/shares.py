"""How much each candidate of an edge counts: all of them, or one that was drawn."""

from collections.abc import Sequence
from functools import cache
from typing import Protocol

import torch
from torch import Tensor

from stnas.ops.sending import sent


class Shares(Protocol):
    """The weights of the candidates of one edge."""

    def of(self, members: Sequence[int]) -> Tensor | None:
        """Return the weight of some candidates together; None: they are not computed."""
        ...

    def within(self, members: Sequence[int]) -> list[Tensor | None]:
        """Return the share of each in their weight; None: it alone is not computed."""
        ...


@cache
def places(members: tuple[int, ...], device: torch.device) -> Tensor:
    """Return indices on a device, which is sent them once."""
    return sent(torch.tensor(members), device)


class Soft:
    """``a = softmax(alpha)``: ``a_S = sum of a`` over a set S, and ``a_i / a_S`` inside it.

    Computed as ``exp(logsumexp(alpha_S) - logsumexp(alpha))`` and ``softmax(alpha_S)``, which is
    safe where a_S is 0, once for all edges that have these shares. alpha: of an edge ``[choices]``.
    """

    def __init__(self, alpha: Tensor) -> None:
        self.alpha, self.a = alpha, alpha.softmax(0).unbind()
        self.total = alpha.logsumexp(0)
        self.weights = dict[tuple[int, ...], Tensor]()
        self.shares = dict[tuple[int, ...], tuple[Tensor, ...]]()

    def of(self, members: Sequence[int]) -> Tensor:
        """Return ``a_S``."""
        if len(members) == 1:
            return self.a[members[0]]
        key = tuple(members)
        if key not in self.weights:
            self.weights[key] = (self._of(key).logsumexp(0) - self.total).exp()
        return self.weights[key]

    def within(self, members: Sequence[int]) -> list[Tensor | None]:
        """Return ``a_i / a_S`` for each member."""
        key = tuple(members)
        if key not in self.shares:
            self.shares[key] = self._of(key).softmax(0).unbind()
        return list(self.shares[key])

    def _of(self, members: tuple[int, ...]) -> Tensor:
        return self.alpha[places(members, self.alpha.device)]


class Drawn:
    """One candidate that was drawn, with a weight whose value is 1 and whose gradient is not."""

    def __init__(self, choice: int, weight: Tensor) -> None:
        self.choice, self.weight = choice, weight

    def of(self, members: Sequence[int]) -> Tensor | None:
        """Return the weight where the candidate is among the members."""
        return self.weight if self.choice in members else None

    def within(self, members: Sequence[int]) -> list[Tensor | None]:
        """Return 1 for the candidate."""
        one = self.weight.new_ones(())
        return [one if member == self.choice else None for member in members]
