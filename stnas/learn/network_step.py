"""What a batch does to a network that is trained alone, before the optimiser moves it."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from stnas.config import RetrainConfig
from stnas.group.device import backend
from stnas.group.streams import global_stream, numpy_generator
from stnas.learn.gradients import Outcome, Parts, mean_gradients_
from stnas.learn.step_graph import StepGraph, check_graph
from stnas.supernet import Network


class NetworkStep:
    """Leaves the mean gradient of a batch in ``grad`` of a network, as ``retrain`` says.

    parts: which parts of a batch the images are. weights: of the classes, or None. seed: of what
    is drawn, with the step.
    """

    def __init__(
        self,
        network: Network,
        options: RetrainConfig,
        *,
        parts: Parts,
        weights: Tensor | None,
        device: torch.device,
        seed: int,
    ) -> None:
        check_graph(options, device)
        self.network, self.options, self.parts = network, options, parts
        self.weights, self.seed = weights, seed
        self.parameters = list(network.parameters())
        self.statistics = [b for b in network.buffers() if b.is_floating_point()]
        self.counts = [b for b in network.buffers() if not b.is_floating_point()]
        self.graph: StepGraph | None = None
        if options.cuda_graph:
            self.graph = StepGraph(self._unread, self.parameters, backend())

    def gradients_(self, images: Tensor, labels: Tensor, step: int) -> Outcome:
        """Leave the mean gradient of the step's batch in ``grad``.

        The running statistics count one batch, however many parts it has.
        """
        if self.graph is not None:
            with self._drawing(step, 0):
                return Outcome(*self.graph(images, labels))
        counts = [count.clone() for count in self.counts] if self.parts.count > 1 else []
        outcome = self._gradients_(images, labels, step)
        for count, before in zip(self.counts, counts, strict=False):
            count.copy_(before + 1)
        return outcome

    def _unread(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Do what is captured: nothing in it may depend on the step but through the generator."""
        outcome = self._gradients_(images, labels, None)
        return outcome.unread_losses, outcome.unread_accuracies

    def _drawing(self, step: int | None, part: int) -> AbstractContextManager[None]:
        if step is None:
            return nullcontext()
        return global_stream(self.seed, "dropout", step, *self.parts.words(part))

    def _gradients_(self, images: Tensor, labels: Tensor, step: int | None) -> Outcome:
        def forward(part: int, own: Tensor) -> Tensor:
            with self._drawing(step, part):
                return self.network(own)  # type: ignore[no-any-return]

        def mixing(part: int) -> float:
            assert step is not None
            generator = numpy_generator(self.seed, "mixup", step, *self.parts.words(part))
            return float(generator.beta(options.mixup, options.mixup))

        options = self.options
        return mean_gradients_(
            self.parameters,
            forward,
            images,
            labels,
            parts=self.parts,
            statistics=self.statistics,
            precision=options.precision,
            weights=self.weights,
            smoothing=options.label_smoothing,
            mixing=mixing if options.mixup else None,
        )
