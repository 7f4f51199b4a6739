"""Train one network from scratch."""

import math
import time
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.optim import SGD

from stnas.config import Config
from stnas.data import Dataset, FileSplit, Split
from stnas.engine.accumulation import check_alike, mean_gradients_, own_parts
from stnas.engine.evaluation import evaluate_together
from stnas.engine.files import read_tensors, write_tensors
from stnas.engine.images import evaluation_batches, training_batches
from stnas.engine.journal import Journal
from stnas.engine.process_group import current
from stnas.engine.randomness import derive, global_stream
from stnas.engine.shared_weights import cosine, steps_per_epoch
from stnas.supernet import Network


def learning_rate(config: Config, step: int, *, steps: int) -> float:
    """Return the rate of a step: linear up in the warm-up, then a cosine to 0.

    steps: steps of an epoch.
    """
    retrain = config.retrain
    warmup = round(retrain.warmup_epochs * steps)
    if step < warmup:
        return retrain.learning_rate * (step + 1) / warmup
    rest = retrain.epochs * steps - warmup
    return cosine(step - warmup, steps=rest, start=retrain.learning_rate, end=0.0)


class Fit:
    """Training of one network, whose state is saved after every epoch."""

    def __init__(
        self,
        config: Config,
        dataset: Dataset,
        split: Split | FileSplit,
        network: Network,
        *,
        folder: Path,
    ) -> None:
        self.config, self.dataset, self.split, self.network = config, dataset, split, network
        self.name = folder.name
        self.state = folder / "state.safetensors"
        self.steps = steps_per_epoch(len(split), config.retrain.batch_size)
        self.group = current()
        self.parts = own_parts("retrain.micro_batches", config.retrain.micro_batches)
        self.parameters = list(network.parameters())
        self.statistics = [b for b in network.buffers() if b.is_floating_point()]
        self.counts = [b for b in network.buffers() if not b.is_floating_point()]
        self.ranks = {"rank": self.group.rank, "world": self.group.size}
        self.test = evaluation_batches(
            dataset, dataset.test, size=config.search.evaluation_batch, **self.ranks
        )
        self.optimizer = SGD(
            network.parameters(),
            lr=config.retrain.learning_rate,
            momentum=config.retrain.momentum,
            nesterov=config.retrain.momentum > 0,
            weight_decay=config.retrain.weight_decay,
        )

    def run(self, journal: Journal, *, position: int) -> tuple[list[dict[str, float]], float]:
        """Train to the end; return the history of the epochs and the seconds they took.

        position: how many networks the stage has behind it.
        """
        history, seconds = self.resume_()
        begin = time.perf_counter() - seconds
        for epoch in range(len(history), self.config.retrain.epochs):
            loss = self.epoch_(epoch, journal, position=position)
            accuracy = evaluate_together(self.network, self.test, self.group).accuracy
            check_alike(self.network)
            history.append({"epoch": epoch, "loss": loss, "accuracy": accuracy})
            journal.record(
                epoch,
                network=self.name,
                of=self.config.retrain.epochs,
                loss=loss,
                accuracy=accuracy,
            )
            seconds = time.perf_counter() - begin
            write_tensors(self.state, self.tensors(), history=history, seconds=seconds)
        return history, seconds

    def epoch_(self, epoch: int, journal: Journal, *, position: int) -> float:
        """Train one epoch and return its mean loss."""
        seed = derive(self.config.seed, "retrain", self.name)
        data = training_batches(
            self.dataset,
            self.split,
            config=self.config,
            purpose=f"retrain/{self.name}",
            seed=seed,
            epoch=epoch,
            size=self.config.retrain.batch_size,
            **self.ranks,
        )
        self.network.train()
        total = 0.0
        for i, (images, labels) in enumerate(data):
            step = epoch * self.steps + i
            rate = learning_rate(self.config, step, steps=self.steps)
            loss = self.step_(images, labels, rate=rate, seed=seed, step=step)
            total += loss
            done = position + (epoch + (i + 1) / self.steps) / self.config.retrain.epochs
            journal.progress(done, loss=loss)
        return total / self.steps

    def step_(self, images: Tensor, labels: Tensor, *, rate: float, seed: int, step: int) -> float:
        """Take one step of SGD on a batch and return its loss.

        The running statistics count one batch, however many parts it has.
        """
        self.optimizer.zero_grad()
        counts = [count.clone() for count in self.counts] if self.parts.count > 1 else []

        def forward(part: int, own: Tensor) -> Tensor:
            with global_stream(seed, "dropout", step, *self.parts.words(part)):
                return self.network(own)  # type: ignore[no-any-return]

        loss = mean_gradients_(
            self.parameters,
            forward,
            images,
            labels,
            parts=self.parts,
            statistics=self.statistics,
        ).loss
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss of network {self.name} is {loss} at step {step}: "
                "lower retrain.learning_rate or raise retrain.warmup_epochs"
            )
        for count, before in zip(self.counts, counts, strict=False):
            count.copy_(before + 1)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        return loss

    def tensors(self) -> dict[str, Tensor]:
        """Collect weights, statistics and momenta."""
        momenta = {
            f"momentum.{name}": self.optimizer.state[parameter]["momentum_buffer"]
            for name, parameter in self.network.named_parameters()
            if self.optimizer.state[parameter].get("momentum_buffer") is not None
        }
        return {**self.network.state_dict(), **momenta}

    def resume_(self) -> tuple[list[dict[str, float]], float]:
        """Load the last saved epoch, if any; return its history and seconds."""
        tensors, history, seconds = self.group.first(self.saved)
        for name, parameter in self.network.named_parameters():
            if f"momentum.{name}" in tensors:
                momentum: Any = {"momentum_buffer": tensors.pop(f"momentum.{name}")}
                self.optimizer.state[parameter] = momentum
        if tensors:
            self.network.load_state_dict(tensors)
        return history, seconds

    def saved(self) -> tuple[dict[str, Tensor], list[dict[str, float]], float]:
        """Read the tensors, the history and the seconds of the last saved epoch."""
        if not self.state.exists():
            return {}, [], 0.0
        tensors, metadata = read_tensors(self.state)
        return tensors, list(metadata["history"]), float(metadata["seconds"])
