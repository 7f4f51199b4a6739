"""Gradients of a batch in parts: each has BN statistics of its own, the gradients are averaged.

The parts are those of the configuration, the processes share them out, and the sums are added in
the same order wherever the parts are computed: the result is the same bits for 1, 2, 4, ...
processes, and the same but for rounding for other numbers of them.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from stnas.config import RetrainConfig, TrainConfig
from stnas.config.train import Precision
from stnas.group.processes import current
from stnas.learn.cross_entropy import backward
from stnas.learn.readings import Number
from stnas.ops.bottleneck.path import direct_gradients
from stnas.ops.dtypes import widen
from stnas.ops.once import once_differentiable


@dataclass(frozen=True)
class Parts:
    """How many parts a batch has, and which are this process's."""

    count: int = 1
    own: range = range(1)

    def words(self, part: int) -> tuple[int, ...]:
        """Name a part in a random stream; a batch that is whole needs no name."""
        return (part,) if self.count > 1 else ()


class Outcome:
    """Loss and accuracy ``[parts]`` of every part of a batch, whoever computed them.

    On the device: to read them is to wait for it.
    """

    def __init__(self, losses: Tensor, accuracies: Tensor) -> None:
        self.unread_losses, self.unread_accuracies = losses, accuracies

    @property
    def losses(self) -> list[float]:
        """Return the cross entropy of every part."""
        return self.unread_losses.tolist()

    @property
    def accuracies(self) -> list[float]:
        """Return the share of every part that was classified rightly."""
        return self.unread_accuracies.tolist()

    @property
    def loss(self) -> float:
        """Return the mean cross entropy of the batch."""
        return mean(self.losses)

    @property
    def accuracy(self) -> float:
        """Return the share of the batch that was classified rightly."""
        return mean(self.accuracies)

    def unread(self) -> tuple[Number, Number]:
        """Return (loss, accuracy) without waiting: of a GPU as tensors."""
        if self.unread_losses.is_cpu:
            return self.loss, self.accuracy
        return self.unread_losses.double().mean(), self.unread_accuracies.double().mean()


def mean(values: Sequence[float]) -> float:
    """Return the mean, the sum in order."""
    return sum(values) / len(values)


def own_parts(name: str, section: TrainConfig | RetrainConfig) -> Parts:
    """Share the parts of a batch out, as a section of the configuration says.

    ValueError: they cannot be equally many each, or BN needs those of one process all at once.
    """
    group, count = current(), section.micro_batches
    each = count // group.size
    if count % group.size:
        raise ValueError(
            f"{name}.micro_batches must be a multiple of the number of processes = {group.size}, "
            f"got {count}: set --{name}.micro_batches {group.size}, or start another number of "
            "processes"
        )
    if section.sync_batch_norm and each > 1:
        raise ValueError(
            f"{name}.micro_batches must be the number of processes = {group.size} with "
            f"{name}.sync_batch_norm, got {count}: start {count} processes, or set it to "
            f"{group.size} for a new run"
        )
    return Parts(count, range(group.rank * each, (group.rank + 1) * each))


class Total(torch.autograd.Function):
    """Sum over the processes; the gradient of the sum of their losses is such a sum too."""

    @staticmethod
    def forward(ctx: Any, vector: Tensor) -> Tensor:
        total = vector.clone()
        current().sum_(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        total = grad.clone()
        current().sum_(total)
        return total


def total(vector: Tensor) -> Tensor:
    """Sum a vector over the processes, differentiably."""
    return Total.apply(vector)  # type: ignore[no-any-return, no-untyped-call]


def mean_gradients_(
    parameters: Sequence[nn.Parameter],
    forward: Callable[[int, Tensor], Tensor],
    images: Tensor,
    labels: Tensor,
    *,
    parts: Parts,
    statistics: Sequence[Tensor] = (),
    precision: Precision = "float32",
    weights: Tensor | None = None,
    smoothing: float = 0.0,
    mixing: Callable[[int], float] | None = None,
) -> Outcome:
    """Leave the batch's mean gradient in ``grad`` of the parameters that the forward pass uses.

    forward: computes the logits ``[n, classes]`` of a part. images, labels: those of this
    process's parts, in order. statistics: running statistics of BN, of which every part moves
    those from before the batch; they become the mean over the parts. precision: of the values
    between the layers, by autocast; the loss is computed in float32. weights: factor of the loss of
    an image by its class ``[classes]``; None: 1. smoothing: share of a label that is spread over
    all classes. mixing: returns the share that images of a part keep of themselves; the rest comes
    from another of the part (mixup, Zhang et al. 2018).
    """
    weighed = partial(backward, weights=weights, smoothing=smoothing)

    def of_part(part: int, images: Tensor, labels: Tensor, share: float) -> tuple[Tensor, Tensor]:
        kept = 1.0 if mixing is None else mixing(part)
        shown = images if kept == 1.0 else torch.lerp(images.flip(0), images, kept)
        with direct_gradients(), autocast(precision, shown):
            logits = widen(forward(part, shown))
        return weighed(logits, labels, share=share, kept=kept)

    if parts.count == 1:
        loss, accuracy = of_part(0, images, labels, 1.0)
        return Outcome(loss[None], accuracy[None])
    before = [value.clone() for value in statistics]
    own = len(parts.own)
    pieces = list(zip(parts.own, images.chunk(own), labels.chunk(own), strict=True))

    def bucket(part: int, images: Tensor, labels: Tensor) -> Tensor:
        results = of_part(part, images, labels, 1 / parts.count)
        numbers = images.new_zeros(2, parts.count)
        numbers[0, part], numbers[1, part] = results
        grads = [p.grad for p in parameters if p.grad is not None]
        moved = [value / parts.count for value in statistics]
        for value, start in zip(statistics, before, strict=True):
            value.copy_(start)
        return torch.cat([tensor.reshape(-1) for tensor in (*grads, *moved, numbers)])

    total = tree_sum(bucket, pieces, parameters)
    current().sum_(total)
    active = [p for p in parameters if p.grad is not None]
    sizes = [tensor.numel() for tensor in (*active, *statistics)]
    *sums, losses, accuracies = torch.split(total, [*sizes, parts.count, parts.count])
    for parameter, gradient in zip(active, sums, strict=False):
        parameter.grad = gradient.view(parameter.shape)
    for value, mean in zip(statistics, sums[len(active) :], strict=True):
        value.copy_(mean.view(value.shape))
    return Outcome(losses, accuracies)


def autocast(precision: Precision, images: Tensor) -> AbstractContextManager[Any]:
    """Compute in a precision where the images are."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(images.device.type, torch.bfloat16)


def tree_sum(
    bucket: Callable[[int, Tensor, Tensor], Tensor],
    pieces: Sequence[tuple[int, Tensor, Tensor]],
    parameters: Sequence[nn.Parameter],
) -> Tensor:
    """Add the buckets of parts by halves, an odd number of them in turn.

    It is the order of ``ProcessGroup.sum_``, so that the same numbers are added to each other
    wherever the parts are computed. The gradients of the last part stay in ``grad``.
    """
    if len(pieces) % 2 == 0:
        half = len(pieces) // 2
        first = tree_sum(bucket, pieces[:half], parameters)
        return first.add_(tree_sum(bucket, pieces[half:], parameters))
    total = None
    for piece in pieces:
        for parameter in parameters:
            parameter.grad = None
        own = bucket(*piece)
        total = own if total is None else total.add_(own)
    assert total is not None
    return total


def check_alike(module: nn.Module) -> None:
    """Raise RuntimeError that names the processes whose weights are not the leader's."""
    if current().size == 1:
        return
    digest = hashlib.blake2b(digest_size=16)
    for tensor in module.state_dict().values():
        digest.update(tensor.detach().contiguous().cpu().numpy().tobytes())
    current().agree("the weights", digest.hexdigest())
