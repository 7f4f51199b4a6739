"""How much each candidate of an edge counts: all of them, or one that was drawn."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol

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


Parts = tuple[tuple[Tensor, ...], list[tuple[Tensor, ...]]]


class SoftRows:
    """``a = softmax(alpha)``: ``a_S = sum of a`` over a set S, and ``a_i / a_S`` inside it.

    Computed as ``exp(logsumexp(alpha_S) - logsumexp(alpha))`` and ``softmax(alpha_S)``, which is
    safe where a_S is 0, once for each set. alpha: ``[rows, choices]``.
    """

    def __init__(self, alpha: Tensor) -> None:
        self.alpha, self.a, self.total = alpha, alpha.softmax(1), alpha.logsumexp(1)
        self.weights = dict[tuple[int, ...], Tensor]()
        self.shares = dict[tuple[int, ...], Tensor]()
        self.known = dict[tuple[int, ...], Parts]()
        self.taken = dict[tuple[tuple[int, ...], tuple[Any, ...]], Tensor]()

    def of(self, members: Sequence[int]) -> Tensor:
        """Return ``a_S`` of each row ``[rows]``."""
        key = tuple(members)
        if key not in self.weights:
            alone = len(key) == 1
            found = self.a[:, key[0]] if alone else (self._of(key).logsumexp(1) - self.total).exp()
            self.weights[key] = found
        return self.weights[key]

    def within(self, members: Sequence[int]) -> Tensor:
        """Return ``a_i / a_S`` for each member ``[rows, members]``."""
        key = tuple(members)
        if key not in self.shares:
            self.shares[key] = self._of(key).softmax(1)
        return self.shares[key]

    def parts(self, members: Sequence[int]) -> Parts:
        """Return both row by row, taken apart once: ``a_S``, and each member's share."""
        key = tuple(members)
        if key not in self.known:
            within = [row.unbind() for row in self.within(key).unbind()]
            self.known[key] = self.of(key).unbind(), within
        return self.known[key]

    def of_edges(
        self, shares: Sequence["Shares"], key: tuple[Any, ...], of_rows: Callable[[], Tensor]
    ) -> Tensor:
        """Take the rows of edges out of values of all rows, once for all cells.

        shares: of the edges. key: tells one kind of values from another.
        """
        order = tuple(own.row for own in shares if isinstance(own, Soft))
        if (order, key) not in self.taken:
            values = of_rows()
            every = order == tuple(range(len(values)))
            self.taken[order, key] = values if every else values[places(order, values.device)]
        return self.taken[order, key]

    def _of(self, members: tuple[int, ...]) -> Tensor:
        return self.alpha[:, places(members, self.alpha.device)]


class Soft:
    """The shares of one row, which ``SoftRows`` computes for all edges that have them.

    alpha: of an edge ``[choices]``, or rows and the number of one of them.
    """

    def __init__(self, alpha: Tensor | SoftRows, row: int = 0) -> None:
        self.rows = SoftRows(alpha[None]) if isinstance(alpha, Tensor) else alpha
        self.row = row

    @classmethod
    def of_rows(cls, alpha: Tensor) -> list["Soft"]:
        """Return the shares of all rows of alpha ``[rows, choices]``."""
        rows = SoftRows(alpha)
        return [cls(rows, row) for row in range(len(alpha))]

    def of(self, members: Sequence[int]) -> Tensor:
        """Return ``a_S``."""
        return self.rows.parts(members)[0][self.row]

    def within(self, members: Sequence[int]) -> list[Tensor | None]:
        """Return ``a_i / a_S`` for each member."""
        return list(self.rows.parts(members)[1][self.row])


def weights_of(shares: Sequence[Shares], sets: tuple[tuple[int, ...], ...]) -> Tensor | None:
    """Return the weights of sets of candidates ``[edges, sets]``; None where one is not computed.

    shares: of the edges.
    """
    if (rows := common_rows(shares)) is not None:
        return rows.of_edges(shares, sets, lambda: torch.stack([rows.of(own) for own in sets], 1))
    found = [own.of(members) for own in shares for members in sets]
    known = [weight for weight in found if weight is not None]
    return torch.stack(known).view(len(shares), -1) if len(known) == len(found) else None


def shares_within(shares: Sequence[Shares], members: tuple[int, ...]) -> Tensor:
    """Return the share of each member in their weight ``[edges, members]``, where all count."""
    if (rows := common_rows(shares)) is not None:
        return rows.of_edges(shares, members, lambda: rows.within(members))
    found = [one for own in shares for one in own.within(members) if one is not None]
    return torch.stack(found).view(len(shares), -1)


def common_rows(shares: Sequence[Shares]) -> SoftRows | None:
    """Return what all edges have their shares of, if it is one."""
    first = shares[0]
    if not isinstance(first, Soft):
        return None
    alike = all(isinstance(own, Soft) and own.rows is first.rows for own in shares)
    return first.rows if alike else None


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
