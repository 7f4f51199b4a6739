"""Candidates of a mixed edge that operators compute: separable convolutions, factorised skips."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from stnas.ops.separable.half import relu_dw_pw_bn
from stnas.ops.separable.mixed_kernel import mixed_kernel
from stnas.ops.separable.reference import Term
from stnas.space.cells.sharing import Branch, Group, Link, Module
from stnas.supernet.blocks.cells import Halves, relu_halves_bn
from stnas.supernet.mixture.shares import Shares

HALF = ("relu", "depthwise", "pointwise", "bn")


class Edge(Protocol):
    """The kernels of an edge."""

    kernels: nn.ModuleDict
    normalise: bool

    def kernel(self, member: int, place: int) -> Tensor:
        """Return the kernel of a candidate at a place of its sequence."""
        ...

    def summands(
        self, link: Link, members: Sequence[int], place: int, within: Sequence[Tensor | None]
    ) -> list[tuple[Tensor, Module]]:
        """List the convolutions whose results are added, with the shares in their kernels."""
        ...


def fused_value(
    edge: Edge, group: Group, x: Tensor, shares: Shares, weight: Tensor
) -> Tensor | None:
    """Compute ``a_S f_S(x)`` by operators; None where there are none. weight: a_S."""
    if is_separable(group):
        return separable(edge, group, x, shares=shares, weight=weight)
    kinds = [link.modules[0].kind for link in group.branches[0].links]
    if kinds == ["relu", "halved", "bn"]:
        halves = edge.kernels[f"{group.members[0]}_1"]
        assert isinstance(halves, Halves)
        return relu_halves_bn(x, halves, scale=weight)
    return None


def is_separable(group: Group) -> bool:
    """Tell whether every branch is ReLU, depthwise, 1x1, BN once or more, the tail included."""
    ends = [module.kind for module in group.tail]
    for branch in group.branches:
        kinds = [*(link.modules[0].kind for link in branch.links), *ends]
        if not kinds or kinds != [*HALF] * (len(kinds) // len(HALF)):
            return False
    return True


def separable(edge: Edge, group: Group, x: Tensor, *, shares: Shares, weight: Tensor) -> Tensor:
    """Compute ``a_S f_S(x)`` of a separable group; weight: a_S.

    A branch's share among those that are summed in front of the tail goes into its kernels.
    """
    terms, start = list[Term](), 0
    within = shares.within(group.members)
    for branch in group.branches:
        own = [w for w in within[start : start + len(branch.members)] if w is not None]
        start += len(branch.members)
        if own:
            part = None
            if group.tail:
                part = torch.stack(own).sum() if len(own) > 1 else own[0]
            terms += last_terms(edge, branch, x, shares=shares, part=part)
    place = len(group.branches[0].links) - (0 if group.tail else 2)
    return relu_dw_pw_bn(terms, edge.kernel(group.members[0], place), scale=weight)


def last_terms(
    edge: Edge, branch: Branch, x: Tensor, *, shares: Shares, part: Tensor | None
) -> list[Term]:
    """Compute all halves of a branch but the last, and list its depthwise convolutions.

    part: what these are multiplied by.
    """
    within = shares.within(branch.members)
    places = [n for n, link in enumerate(branch.links) if link.modules[0].kind == "depthwise"]
    terms = list[Term]()
    for place in places:
        if terms:
            x = relu_dw_pw_bn(terms, edge.kernel(branch.members[0], place - 3))
        own = part if place == places[-1] else None
        found = convolutions(edge, branch, place, within, own)
        terms = [Term(x, kernel, module.stride, module.grid) for kernel, module in found]
    return terms


def convolutions(
    edge: Edge, branch: Branch, place: int, within: Sequence[Tensor | None], part: Tensor | None
) -> list[tuple[Tensor, Module]]:
    """List the depthwise convolutions of a link; those that are merged as one."""
    link, members = branch.links[place], branch.members
    known = [n for n, share in enumerate(within) if share is not None]
    if link.merged and len(known) > 1:
        kernels = [edge.kernel(members[n], place) for n in known]
        own = [share for share in within if share is not None]
        mixed = mixed_kernel(kernels, own, part, normalise=edge.normalise)
        return [(mixed, link.applied[0])]
    found = edge.summands(link, members, place, within)
    return found if part is None else [(part * kernel, module) for kernel, module in found]
