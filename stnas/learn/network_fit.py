"""Train one network from scratch."""

import math
from collections.abc import Callable, Container, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from stnas.config import Config
from stnas.data import Dataset, FileSplit, Split, class_weights
from stnas.data.epochs import Batch, batch_text, evaluation_batches, training_batches
from stnas.group.processes import current
from stnas.group.streams import derive
from stnas.learn.evaluation import evaluate_together, recalibrate_
from stnas.learn.gradients import check_alike, own_parts, total
from stnas.learn.memory import repaired_by, smaller_parts, smaller_tests
from stnas.learn.network_average import NetworkAverage
from stnas.learn.network_optimiser import learning_rate, one_thread, optimiser
from stnas.learn.network_step import NetworkStep
from stnas.learn.readings import Number, Readings
from stnas.learn.supernet_epoch import steps_per_epoch
from stnas.store.checkpoint import Saver
from stnas.store.journal import Log
from stnas.store.names import STATE
from stnas.store.tensors import load_tensors_
from stnas.supernet import Network, synchronise_

Rate = Callable[[int], float]
"""Learning rate of a step, counted from the start of training."""


class Fit:
    """Training of one network, whose state is saved after every epoch and when it is due.

    name: of the network, which its batches and its noise depend on. folder: where states lie.
    rate: of every step; default: ``learning_rate``. judge: images that are classified; default:
    the test images. watch: numbers of epochs after which they are; default: after every one, and
    always after the last.
    """

    def __init__(
        self,
        config: Config,
        dataset: Dataset,
        split: Split | FileSplit,
        network: Network,
        *,
        name: str,
        folder: Path,
        origin: str,
        rate: Rate | None = None,
        judge: Split | FileSplit | None = None,
        watch: Container[int] | None = None,
    ) -> None:
        self.watch = watch
        self.judges = judge is not None
        self.config, self.dataset, self.split, self.network = config, dataset, split, network
        self.name, self.seed = name, derive(config.seed, "retrain", name)
        self.steps = steps_per_epoch(len(split), config.retrain.batch_size)
        self.rate = rate or partial(learning_rate, config, steps=self.steps)
        self.group = current()
        weights = class_weights(
            split.labels, dataset.num_classes, config=config.data, device=dataset.device
        )
        if config.retrain.sync_batch_norm and self.group.size > 1:
            synchronise_(network, total)
        parts = own_parts("retrain", config.retrain)
        self.passes = NetworkStep(
            network,
            config.retrain,
            parts=parts,
            weights=weights,
            device=dataset.device,
            seed=self.seed,
        )
        self.ranks = {"rank": self.group.rank, "world": self.group.size}
        self.test = evaluation_batches(
            dataset, judge or dataset.test, size=config.retrain.evaluation_batch, **self.ranks
        )
        self.optimizer = optimiser(network, config.retrain)
        decay = config.retrain.ema
        self.average = NetworkAverage(network, decay) if decay else None
        self.saver = Saver(
            folder / STATE,
            every=config.save_every,
            origin=origin,
            tensors=self.tensors,
        )

    def run(
        self, journal: Log, *, until: int | None = None
    ) -> tuple[list[dict[str, float]], float]:
        """Train to the end; return the history of the epochs and the seconds they took.

        until: epochs after which to stop, with a state from which another Fit goes on; default:
        ``retrain.epochs``.
        """
        until = until or self.config.retrain.epochs
        with self.saver as saver:
            self.resume_(journal)
            now = saver.standing
            repair = smaller_parts("retrain", self.config.retrain, saver.last())
            for epoch in range(len(now.history), until):
                with repaired_by(repair):
                    self.epoch_(epoch, journal)
                    if self.config.retrain.recalibrate and epoch + 1 == self.config.retrain.epochs:
                        data = self.batches(epoch + 1)
                        recalibrate_(self.network, (images for images, _ in data))
                numbers: dict[str, Any] = {"loss": now.loss / self.steps}
                if self.watch is None or epoch + 1 in self.watch or epoch + 1 == until:
                    with repaired_by(smaller_tests(self.config.retrain)):
                        numbers |= self.judged()
                check_alike(self.network)
                now.history.append({"epoch": epoch, **numbers})
                now.end_epoch_()
                journal.record(epoch, **numbers)
                saver.save()
            if self.average is not None and until == self.config.retrain.epochs:
                self.average.take_(now.steps)
            return now.history, saver.seconds()

    def judged(self) -> dict[str, float]:
        """Classify the images that judge; their loss is given where they are not the test's.

        (That of the test images would differ by rounding with the number of processes.)
        """
        if self.average is None:
            found = evaluate_together(self.network, self.test, self.group)
        else:
            before = self.average.take_(self.saver.standing.steps)
            found = evaluate_together(self.network, self.test, self.group)
            self.average.put_(before)
        balanced = {"balanced_accuracy": found.balanced_accuracy}
        loss = {"judged_loss": found.loss, **balanced} if self.judges else {}
        return {"accuracy": found.accuracy, **loss}

    def epoch_(self, epoch: int, journal: Log) -> None:
        """Train the rest of one epoch."""
        now = self.saver.standing
        first = now.steps - epoch * self.steps
        data = self.batches(epoch, start=first, **self.ranks)
        readings = Readings(lambda loss, _: now.add_(loss), self.stopped_at)
        self.saver.settle = readings.read_
        self.network.train()
        for i, (images, labels) in enumerate(data, start=first):
            step = epoch * self.steps + i
            loss = self.step_(images, labels, rate=self.rate(step), step=step)
            readings.add_(step, loss, loss)
            journal.progress(epoch + (i + 1) / self.steps, loss=readings.loss)
            if i + 1 < self.steps:
                self.saver.step()
        readings.read_()

    def batches(self, epoch: int, **place: int) -> Iterator[Batch]:
        """Return the training batches of an epoch; place: as ``training_batches`` takes it."""
        return training_batches(
            self.dataset,
            self.split,
            config=self.config,
            purpose=f"retrain/{self.name}",
            seed=self.seed,
            epoch=epoch,
            size=self.config.retrain.batch_size,
            augment=self.config.retrain.augment,
            **place,
        )

    def step_(self, images: Tensor, labels: Tensor, *, rate: float, step: int) -> Number:
        """Take one step of SGD on a batch and return its loss, that of a GPU unread."""
        self.optimizer.zero_grad()
        loss, _ = self.passes.gradients_(images, labels, step).unread()
        if not isinstance(loss, Tensor) and not math.isfinite(loss):
            raise self.stopped_at(step, loss)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with one_thread():
            self.optimizer.step()
        if self.average is not None:
            self.average.include_(step + 1)
        return loss

    def stopped_at(self, step: int, loss: float) -> FloatingPointError:
        """Make the error for a loss that is not finite."""
        epoch, batch = divmod(step, self.steps)
        size = self.config.retrain.batch_size
        about = batch_text(
            self.split, config=self.config, seed=self.seed, epoch=epoch, batch=batch, size=size
        )
        return FloatingPointError(
            f"the loss of network {self.name} is {loss} at step {step}: lower "
            "retrain.learning_rate or raise retrain.warmup_epochs; its genotype is "
            f"{self.network.space.format(self.network.genotype)}; {about}"
        )

    def tensors(self) -> dict[str, Tensor]:
        """Collect weights, statistics and momenta."""
        momenta = {
            f"momentum.{name}": self.optimizer.state[parameter]["momentum_buffer"]
            for name, parameter in self.network.named_parameters()
            if self.optimizer.state[parameter].get("momentum_buffer") is not None
        }
        sums = self.average.sums.state() if self.average is not None else {}
        return {**self.network.state_dict(), **momenta, **sums}

    def resume_(self, journal: Log) -> None:
        """Load the last state, if any."""
        tensors = self.saver.resume(journal.say)
        if tensors is None:
            return
        if self.average is not None:
            self.average.sums.load_(tensors)
        for name, parameter in self.network.named_parameters():
            if f"momentum.{name}" in tensors:
                buffer = tensors.pop(f"momentum.{name}").to(parameter.device)
                momentum: Any = {"momentum_buffer": buffer}
                self.optimizer.state[parameter] = momentum
        load_tensors_(self.network, tensors, self.saver.path)
