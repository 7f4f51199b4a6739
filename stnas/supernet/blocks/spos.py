"""The choice blocks of SPOS."""

import torch
from torch import Tensor, nn

from stnas.config import Kernels
from stnas.ops.layers.reference import BatchNorm
from stnas.ops.shuffle.block import shuffle_block
from stnas.ops.shuffle.reference import ShuffleWeights
from stnas.ops.slices import Slice, cut
from stnas.space.spos import ChoiceBlock, Pass, Shuffle, Xception
from stnas.supernet.as_built import AsBuilt, agree, are_plain, is_plain
from stnas.supernet.blocks.block import MakeNorm, build
from stnas.supernet.blocks.slices import branch_slices, sliced_branch
from stnas.supernet.norms import advance_


class TwoBranches(nn.Module):
    """A choice block: what the working branch makes, behind the other half of the result.

    The even channels pass by where the pixels stay, and the odd ones are worked on: so the halves
    mix from block to block, which is the shuffle. Where the pixels are halved, both branches read
    every channel. Where it is ``compiled`` one operator computes it and the layers only hold the
    tensors, as long as these are the layers that were built and the pass is one of plain numbers.
    A part with several forms has the weights of its largest; the others use leading slices.
    """

    def __init__(self, part: ChoiceBlock, *, kernels: Kernels, norm: MakeNorm) -> None:
        super().__init__()
        self.splits, self.stride = part.splits, part.stride
        self.proj = branch(part.projection, norm)
        self.main = branch(part.main, norm)
        self.compiled = kernels == "fused"
        self.built = [(module, AsBuilt(module)) for module in (self, self.proj, self.main)]
        forms = [part.form(option).main for option, mid in enumerate(part.mids) if mid < part.mid]
        self.smaller = [branch_slices(own) for own in forms]

    def forward(self, x: Tensor, option: int = 0) -> Tensor:
        """Map ``[N, C_in, H, W]`` to ``[N, C_out, ceil(H / stride), ceil(W / stride)]``."""
        weights = self.fusible(option) if self.compiled and is_plain(x) else None
        if weights is None:
            return self.by_layers(x, option)
        states = [advance_(layer) for layer in self.norms()]
        _, training, momentum = states[0]
        norms = [tensors for tensors, _, _ in states]
        for place, own in enumerate(self.main_slices(option)):
            norms[place] = BatchNorm(*(cut(value, own[:1]) for value in norms[place]))
        return shuffle_block(
            x, weights, norms, stride=self.stride, training=training, momentum=momentum
        )

    def by_layers(self, x: Tensor, option: int = 0) -> Tensor:
        """Compute the block by calling its layers, whatever stands in their places.

        Layers of which a form uses a slice are not called: their tensors are read.
        """
        slices = self.main_slices(option)
        worked = x[:, 1::2].contiguous(memory_format=FORMAT) if self.splits else x
        kept = x[:, 0::2] if self.splits else self.proj(x)
        made = sliced_branch(self.main, slices, worked) if slices else self.main(worked)
        return torch.cat((kept, made), 1)

    def fusible(self, option: int = 0) -> ShuffleWeights | None:
        """Return the weights if the block's operator may stand in for its layers."""
        if not all(built.holds(module) for module, built in self.built):
            return None
        main, project = (
            tuple(layer.weight for layer in head if isinstance(layer, nn.Conv2d))
            for head in (self.main, self.proj)
        )
        if not (are_plain((*main, *project)) and agree(self.norms())):
            return None
        slices = self.main_slices(option)
        used = tuple(map(cut, main, slices)) if slices else main
        return ShuffleWeights(used, project)

    def main_slices(self, option: int) -> tuple[Slice, ...]:
        """Return what a form uses of each convolution of the working branch; none: all of all."""
        return self.smaller[option] if option < len(self.smaller) else ()

    def slices(self, option: int) -> dict[str, Slice]:
        """Return what a form uses of the parameters, by name, where that is not the whole."""
        found: dict[str, Slice] = {}
        places = [i for i, layer in enumerate(self.main) if isinstance(layer, nn.Conv2d)]
        for place, own in zip(places, self.main_slices(option), strict=False):
            for at, used in ((place, own), (place + 1, own[:1])):
                for name, tensor in self.main[at].named_parameters():
                    if tensor[used].shape != tensor.shape:
                        found[f"main.{at}.{name}"] = used
        return found

    def norms(self, option: int = 0) -> tuple[nn.BatchNorm2d, ...]:
        """List the BN layers, those of the working branch first."""
        return tuple(
            layer
            for head in (self.main, self.proj)
            for layer in head
            if isinstance(layer, nn.BatchNorm2d)
        )


FORMAT = torch.channels_last


def branch(passes: tuple[Pass, ...], norm: MakeNorm) -> nn.Sequential:
    """Make a branch: convolution and BN, and ReLU behind those that are not depthwise."""
    layers: list[nn.Module] = []
    for own in passes:
        groups = own.after if own.depthwise else 1
        layers.append(
            nn.Conv2d(
                own.before,
                own.after,
                own.kernel,
                own.stride,
                own.kernel // 2,
                groups=groups,
                bias=False,
            )
        )
        layers.append(norm(own.after))
        if not own.depthwise:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


@build.register(Shuffle)
@build.register(Xception)
def choice_block(part: ChoiceBlock, *, kernels: Kernels, norm: MakeNorm) -> TwoBranches:
    """Make the block of a kind."""
    return TwoBranches(part, kernels=kernels, norm=norm)
