"""Separable convolutions of a mixed edge, half by half through one operator."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from stnas.ops.separable.half import relu_dw_pw_bn
from stnas.ops.separable.reference import Term
from stnas.space.cells.sharing import Branch, Group, Link, Module
from stnas.supernet.mixture.shares import Shares

HALF = ("relu", "depthwise", "pointwise", "bn")


class Kernels(Protocol):
    """The kernels of an edge."""

    def kernel(self, member: int, place: int) -> Tensor:
        """Return the kernel of a candidate at a place of its sequence."""
        ...

    def summands(
        self, link: Link, members: Sequence[int], place: int, within: Sequence[Tensor | None]
    ) -> list[tuple[Tensor, Module]]:
        """List the convolutions whose results are added, with the shares in their kernels."""
        ...


def is_separable(group: Group) -> bool:
    """Tell whether every branch is ReLU, depthwise, 1x1, BN once or more, the tail included."""
    ends = [module.kind for module in group.tail]
    for branch in group.branches:
        kinds = [*(link.modules[0].kind for link in branch.links), *ends]
        if not kinds or kinds != [*HALF] * (len(kinds) // len(HALF)):
            return False
    return True


def separable(
    kernels: Kernels, group: Group, x: Tensor, *, shares: Shares, weight: Tensor
) -> Tensor:
    """Compute ``a_S f_S(x)`` of a separable group; weight: a_S.

    A branch's share among those that are summed in front of the tail goes into its kernels.
    """
    terms, start = list[Term](), 0
    within = shares.within(group.members)
    for branch in group.branches:
        own = [w for w in within[start : start + len(branch.members)] if w is not None]
        start += len(branch.members)
        if own:
            found = last_terms(kernels, branch, x, shares)
            part = torch.stack(own).sum() if group.tail else None
            terms += [t if part is None else t._replace(kernel=part * t.kernel) for t in found]
    place = len(group.branches[0].links) - (0 if group.tail else 2)
    return relu_dw_pw_bn(terms, kernels.kernel(group.members[0], place), scale=weight)


def last_terms(kernels: Kernels, branch: Branch, x: Tensor, shares: Shares) -> list[Term]:
    """Compute all halves of a branch but the last, and list its depthwise convolutions."""
    within = shares.within(branch.members)
    places = [n for n, link in enumerate(branch.links) if link.modules[0].kind == "depthwise"]
    terms = list[Term]()
    for place in places:
        if terms:
            x = relu_dw_pw_bn(terms, kernels.kernel(branch.members[0], place - 3))
        found = kernels.summands(branch.links[place], branch.members, place, within)
        terms = [Term(x, kernel, module.stride, module.grid) for kernel, module in found]
    return terms
