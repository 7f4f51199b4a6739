"""Train shared weights on one half of the images and alpha on the other, in turn."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from stnas.config import Config
from stnas.data import FileSplit, Split, class_weights
from stnas.data.epochs import Batch
from stnas.group.streams import global_stream
from stnas.learn.gradients import Outcome, autocast
from stnas.learn.moving_average import MovingAverage
from stnas.learn.readings import Number
from stnas.learn.task import Task
from stnas.ops.dtypes import widen
from stnas.space import Genotype
from stnas.store.tensors import load_tensors_
from stnas.supernet import SuperNet
from stnas.supernet.mixture import MixedNet, Shares, edge_weights
from stnas.train.gradient.held import HeldBatches
from stnas.train.gradient.optimisers import Adam, Descent

START = 1e-3
"""Standard deviation of alpha at first (Liu et al. 2019, the authors' code)."""


class Method(Protocol):
    """What tells one strategy from another.

    weights_first: the order of a step. weighs_edges: whether the edges of a node have weights, too.
    """

    weights_first: bool
    weighs_edges: bool

    def shares(self, bilevel: "Bilevel", step: int, purpose: str) -> list[Shares]:
        """Return how much each candidate counts in a pass of a step."""
        ...

    def gradient(self, bilevel: "Bilevel", train: Batch, held: Batch, step: int) -> list[Tensor]:
        """Return what the architecture parameters move against."""
        ...


class Bilevel:
    """A strategy that moves alpha by the loss on held-back images, and the weights on the others.

    method: one of the files beside this one. task: with the half of the images that moves the
    weights. held: the other half. rate: the learning rate of the weights by step. architecture:
    alpha ``[rows, choices]``, and beta ``[rows]`` where edges have weights.
    """

    def __init__(
        self,
        net: MixedNet,
        method: Method,
        task: Task,
        held: Split | FileSplit,
        *,
        config: Config,
        rate: Callable[[int], float],
        steps: int,
    ) -> None:
        assert task.space.mixture is not None
        self.averages: Sequence[MovingAverage] = ()
        self.supernet, self.method, self.task, self.config = net, method, task, config
        self.rate, self.steps, self.mixture = rate, steps, task.space.mixture
        self.parameters = list(net.parameters())
        device, rows = self.parameters[0].device, self.mixture.rows
        sizes = [(rows, len(self.mixture.choices)), *([(rows,)] if method.weighs_edges else [])]
        with global_stream(config.seed, "alpha"):
            drawn = [START * torch.randn(size) for size in sizes]
        self.architecture = [own.to(device).requires_grad_() for own in drawn]
        dataset = task.dataset
        self.class_weights = class_weights(
            dataset.train.labels, dataset.num_classes, config=config.data, device=dataset.device
        )
        prefixes = ("", "beta.")
        pairs = zip(self.architecture, prefixes, strict=False)
        self.adams = [Adam(own, config.alpha, prefix=prefix) for own, prefix in pairs]
        self.descent = Descent(dict(net.named_parameters()), config)
        self.batches = HeldBatches(task, held, config)

    @property
    def alpha(self) -> Tensor:
        """Return the architecture parameters of the candidates ``[rows, choices]``."""
        return self.architecture[0]

    def edge_weights(self, *, rest: bool = False) -> Tensor | None:
        """Return the weights of the edges that enter a node together ``[rows]``; None: all are 1.

        rest: beta itself rests.
        """
        if len(self.architecture) == 1:
            return None
        beta = self.architecture[1]
        return edge_weights(beta.detach() if rest else beta, self.mixture.entering)

    def loss(
        self, batch: Batch, shares: list[Shares], *, rest: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return the cross entropy of a batch, and its logits; rest: beta itself rests."""
        images, labels = batch
        with autocast(self.config.train.precision, images):
            logits = widen(self.supernet(images, shares, self.edge_weights(rest=rest)))
        smoothing = self.config.train.label_smoothing
        if self.class_weights is None:
            return functional.cross_entropy(logits, labels, label_smoothing=smoothing), logits
        each = functional.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
        return (each * self.class_weights[labels]).mean(), logits

    def update_(self, images: Tensor, labels: Tensor, step: int) -> tuple[Number, Number]:
        """Move alpha and the weights, or in the other order; return (loss, accuracy)."""
        train = (images, labels)
        if step // self.steps < self.config.alpha.start * self.config.train.epochs:
            return self.move_weights_(train, step)
        held = self.batches.batch(step)
        if self.method.weights_first:
            found = self.move_weights_(train, step)
            self.move_alpha_(train, held, step)
            return found
        self.move_alpha_(train, held, step)
        return self.move_weights_(train, step)

    def move_alpha_(self, train: Batch, held: Batch, step: int) -> None:
        """Take a step of Adam on the architecture parameters.

        A gradient of a GPU that is not finite is noticed by the loss of the step after.
        """
        gradients = self.method.gradient(self, train, held, step)
        if not all(bool(torch.isfinite(own).all()) for own in gradients if own.is_cpu):
            raise FloatingPointError(
                f"the gradient of alpha is not finite at step {step}: lower train.learning_rate "
                "or alpha.learning_rate"
            )
        for adam, gradient in zip(self.adams, gradients, strict=True):
            adam.move_(gradient)

    def move_weights_(self, batch: Batch, step: int) -> tuple[Number, Number]:
        """Take a step of descent on the weights; FloatingPointError before anything moves.

        A GPU is not waited for: its numbers are tensors, which nobody has read.
        """
        loss, logits = self.loss(batch, self.method.shares(self, step, "weights"), rest=True)
        right = (logits.detach().argmax(1) == batch[1]).sum().double() / len(batch[1])
        value, accuracy = Outcome(loss.detach()[None], right[None]).unread()
        if not isinstance(value, Tensor) and not math.isfinite(value):
            raise FloatingPointError(
                f"the loss is {value} at step {step}: lower train.learning_rate"
            )
        gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        self.descent.move_(gradients, lr=self.rate(step))
        return value, accuracy

    def gradients(self, loss: Tensor) -> list[Tensor]:
        """Return the gradients of a loss for the architecture parameters; zeros without any."""
        found = torch.autograd.grad(
            loss, self.architecture, allow_unused=True, materialize_grads=True
        )
        return list(found)

    def a(self) -> Tensor:
        """Return ``softmax(alpha)`` in float64 ``[rows, choices]``."""
        return self.alpha.detach().cpu().double().softmax(1)

    def derived(self) -> Genotype:
        """Return the cell that a stands for, times the weights of the edges where they have any."""
        weights = self.edge_weights(rest=True)
        a = self.a()
        return self.mixture.derive((a if weights is None else a * weights.cpu()[:, None]).numpy())

    def numbers(self) -> dict[str, float]:
        """Return what the journal tells: entropy of a in nats, skips, multiply-adds of the cell."""
        a, cell, space = self.a(), self.derived(), self.task.space
        entropy = float(-(a * a.clamp_min(1e-300).log()).sum(1).mean())
        counts = self.mixture.count(cell)
        return {
            "entropy": entropy,
            "skips": float(counts["skip"]),
            "madds": float(space.madds(cell[None])[0]),
        }

    def remarks(self) -> list[str]:
        """Return lines about the cell so far: its text, and a warning where it has collapsed."""
        cell = self.derived()
        lines = [f"train: the cell is {self.task.space.format(cell)}"]
        if not self.task.space.is_useful(cell[None])[0]:
            lines.append(
                "train: warning: the cell does not depend on the image, since none has the largest "
                "share on every way through it: train longer, or set --search.strategy nsga2, "
                "which leaves such cells out"
            )
        elif not self.mixture.convolutions(cell):
            lines.append(
                "train: warning: no edge of the cell has a convolution, the collapse that searches "
                "by gradients are known for: train fewer epochs, lower alpha.learning_rate, or "
                "take train.strategy betadarts"
            )
        return lines

    def weights(self) -> Mapping[str, Tensor]:
        """Return the weights as the hyper-network of single paths has them."""
        return self.single_paths().state_dict()

    def single_paths(self) -> SuperNet:
        """Return the hyper-network of single paths."""
        return self.supernet.single_paths(self.edge_weights(rest=True))

    def state(self) -> Mapping[str, Tensor]:
        """Return weights, velocities, alpha, beta and the moments of Adam."""
        own = {f"net.{name}": value for name, value in self.supernet.state_dict().items()}
        found = {**own, **self.descent.state()}
        for adam in self.adams:
            found |= adam.state()
        return found

    def load_(self, tensors: dict[str, Tensor], file: Path) -> None:
        """Go on from a state."""
        self.descent.load_(tensors)
        for adam in self.adams:
            adam.load_(tensors)
        own: dict[str, Any] = {
            name.removeprefix("net."): value
            for name, value in tensors.items()
            if name.startswith("net.")
        }
        load_tensors_(self.supernet, own, file)
