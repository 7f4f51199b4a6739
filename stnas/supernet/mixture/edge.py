"""An edge that mixes its candidates, as a level of sharing has rewritten it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from stnas.config.sharing import Level
from stnas.ops.layers.reference import EPS
from stnas.ops.mixture.pools import pooled_norms
from stnas.ops.separable.reference import embedded, normalised
from stnas.space.cells.sharing import FREE, Branch, Group, Link, Mixed, Module, rewrite
from stnas.supernet.as_built import is_plain
from stnas.supernet.blocks.cells import Halves
from stnas.supernet.blocks.partial import halved
from stnas.supernet.mixture.separable import fused_value
from stnas.supernet.mixture.shares import Shares


def convolved(x: Tensor, kernel: Tensor, module: Module) -> Tensor:
    """Apply a kernel as a module does, at its stride and on its grid."""
    groups = module.before if module.kind == "depthwise" else 1
    rim = module.grid * (kernel.shape[-1] // 2)
    return functional.conv2d(x, kernel, None, module.stride, rim, module.grid, groups)


def without_weights(x: Tensor, module: Module) -> Tensor:
    """Apply a module that has no weights; BN uses the statistics of the batch."""
    if module.kind == "relu":
        return x.relu()
    if module.kind == "average":
        x = functional.avg_pool2d(x, 3, module.stride, 1, count_include_pad=False)
    elif module.kind == "maximum":
        x = halved(x) if module.kernel == 2 else functional.max_pool2d(x, 3, module.stride, 1)
    if module.kind == "bn" or module.norm:
        x = functional.batch_norm(x, None, None, training=True, eps=EPS)
    return x


POOLS = ("maximum", "average")


class NodeValue:
    """The value of a node, with what its edges begin with: computed once where it is shared.

    compiled: by the operators, where there are some, which pool in both ways at once.
    """

    def __init__(self, x: Tensor, *, shares: bool, compiled: bool = False) -> None:
        self.x, self.shares, self.compiled = x, shares, compiled
        self.known: dict[Module, Tensor] = {}
        self.parts: tuple[NodeValue, NodeValue] | None = None

    def divided(self, parts: int) -> "tuple[NodeValue, NodeValue]":
        """Return the first of ``parts`` parts of the channels, and the others."""
        if self.parts is None:
            width = self.x.shape[1] // parts
            first, others = self.x[:, :width], self.x[:, width:]
            if self.compiled:
                first = first.contiguous(memory_format=torch.channels_last)
            options = {"shares": self.shares, "compiled": self.compiled}
            self.parts = NodeValue(first, **options), NodeValue(others, **options)
        return self.parts

    def first(self, module: Module) -> Tensor:
        """Apply a module without weights to the node."""
        if not self.shares:
            return without_weights(self.x, module)
        if module not in self.known:
            if self.compiled and module.kernel == 3 and module.norm and is_plain(self.x):
                for kind, value in zip(POOLS, pooled_norms(self.x, module.stride), strict=True):
                    self.known[module._replace(kind=kind)] = value
            else:
                self.known[module] = without_weights(self.x, module)
        return self.known[module]


class MixedEdge(nn.Module):
    """``sum over groups of a_S f_S(x)``.

    kernels: one convolution for each kernel, named by its candidate and its place in the sequence;
    a kernel that a group has in common is that of its first member. normalise: divide the kernels
    that are mixed by their norms. compiled: by the operators, where there are some.
    """

    def __init__(
        self, edge: Mixed, *, level: Level, normalise: bool, compiled: bool = False
    ) -> None:
        super().__init__()
        self.groups = rewrite(edge.sequences, level)
        self.normalise, self.compiled = normalise, compiled
        self.kernels = nn.ModuleDict()
        for group in self.groups:
            for branch in group.branches:
                for place, link in enumerate(branch.links):
                    for member, module in zip(branch.members, link.modules, strict=False):
                        self._add(member, place, module)
            for place, module in self._tail_places(group):
                self._add(group.members[0], place, module)

    def _tail_places(self, group: Group) -> list[tuple[int, Module]]:
        """Return the places of a tail's modules in the sequence of the group's first member."""
        return list(enumerate(group.tail, start=len(group.branches[0].links)))

    def _add(self, member: int, place: int, module: Module) -> None:
        if module.kind == "halved":
            self.kernels[f"{member}_{place}"] = Halves(module.before, module.after)
        elif module.has_kernel:
            groups = module.before if module.kind == "depthwise" else 1
            self.kernels[f"{member}_{place}"] = nn.Conv2d(
                module.before, module.after, module.kernel, groups=groups, bias=False
            )

    def forward(self, source: NodeValue, shares: Shares) -> Tensor | None:
        """Mix the candidates' values of a node ``[N, C, H, W]``; None where none is computed."""
        total: Tensor | None = None
        compiled = self.compiled and is_plain(source.x)
        for group in self.groups:
            weight = shares.of(group.members)
            if weight is None:
                continue
            value = fused_value(self, group, source.x, shares, weight) if compiled else None
            if value is None:
                value = weight * self._value(group, source, shares)
            total = value if total is None else total + value
        return total

    def _value(self, group: Group, source: NodeValue, shares: Shares) -> Tensor:
        branches = group.branches
        if not group.tail:
            return self._branch(branches[0], source, shares)
        within = shares.within(group.members)
        total: Tensor | None = None
        start = 0
        for branch in branches:
            own = [w for w in within[start : start + len(branch.members)] if w is not None]
            start += len(branch.members)
            if own:
                value = torch.stack(own).sum() * self._branch(branch, source, shares)
                total = value if total is None else total + value
        assert total is not None
        for place, module in self._tail_places(group):
            total = self._applied(total, module, group.members[0], place)
        return total

    def _branch(self, branch: Branch, source: NodeValue, shares: Shares) -> Tensor:
        x, links = source.x, list(enumerate(branch.links))
        if links and (first := branch.links[0].modules[0]).kind in FREE:
            x, links = source.first(first), links[1:]
        for place, link in links:
            if len(link.modules) == 1:
                x = self._applied(x, link.modules[0], branch.members[0], place)
            else:
                x = self._mixed(x, link, branch.members, place, shares.within(branch.members))
        return x

    def _applied(self, x: Tensor, module: Module, member: int, place: int) -> Tensor:
        if not module.has_kernel:
            return without_weights(x, module)
        if module.kind == "halved":
            halved: Tensor = self.kernels[f"{member}_{place}"](x)
            return halved
        return convolved(x, self.kernel(member, place), module)

    def _mixed(
        self,
        x: Tensor,
        link: Link,
        members: Sequence[int],
        place: int,
        within: Sequence[Tensor | None],
    ) -> Tensor:
        """Sum the members' convolutions by their shares, of which a drawn one stands alone."""
        known = self._known(link, members, place, within)
        if len(known) > 1 and not link.merged:
            return torch.stack([s * convolved(x, k, module) for s, k, module in known]).sum(0)
        ((kernel, module),) = self.summands(link, members, place, within)
        return convolved(x, kernel, module)

    def _known(
        self, link: Link, members: Sequence[int], place: int, within: Sequence[Tensor | None]
    ) -> list[tuple[Tensor, Tensor, Module]]:
        return [
            (share, self.kernel(member, place, mixed=True), module)
            for share, member, module in zip(within, members, link.modules, strict=True)
            if share is not None
        ]

    def summands(
        self, link: Link, members: Sequence[int], place: int, within: Sequence[Tensor | None]
    ) -> list[tuple[Tensor, Module]]:
        """List the convolutions whose results are added, with the shares in their kernels."""
        if len(link.modules) == 1:
            return [(self.kernel(members[0], place), link.modules[0])]
        known = self._known(link, members, place, within)
        if len(known) == 1:
            return [known[0][1:]]
        if not link.merged:
            return [(share * kernel, module) for share, kernel, module in known]
        largest = link.applied[0]
        kernels = [share * embedded(kernel, largest.kernel) for share, kernel, _ in known]
        return [(torch.stack(kernels).sum(0), largest)]

    def kernel(self, member: int, place: int, *, mixed: bool = False) -> Tensor:
        """Return a kernel as it is applied; mixed: it is one of several at its place."""
        # A step asks for some dozens: dictionaries answer ten times as fast as attributes.
        weight = self.kernels._modules[f"{member}_{place}"]._parameters["weight"]
        assert weight is not None
        return normalised(weight) if mixed and self.normalise else weight

    def alone(self, candidate: int) -> list[Tensor]:
        """Return the kernels that a candidate has when it alone counts, in their order."""
        for group in self.groups:
            for branch in group.branches:
                if candidate in branch.members:
                    return [*self._own(branch, candidate), *self._common(group)]
        return []

    def _own(self, branch: Branch, candidate: int) -> list[Tensor]:
        if any(link.modules[0].kind == "halved" for link in branch.links):
            return list(self.kernels[f"{candidate}_1"].parameters())
        return [
            self.kernel(
                candidate if len(link.modules) > 1 else branch.members[0],
                place,
                mixed=len(link.modules) > 1,
            )
            for place, link in enumerate(branch.links)
            if link.modules[0].has_kernel
        ]

    def _common(self, group: Group) -> list[Tensor]:
        return [
            self.kernel(group.members[0], place)
            for place, module in self._tail_places(group)
            if module.has_kernel
        ]
