"""The batches of held-back images that move the architecture parameters."""

from collections.abc import Iterator

from stnas.config import Config
from stnas.data import FileSplit, Split
from stnas.data.epochs import Batch, training_batches
from stnas.group.streams import derive
from stnas.learn.task import Task


class HeldBatches:
    """The batches that move alpha, each a function of (seed, step), in epochs of their own."""

    def __init__(self, task: Task, held: Split | FileSplit, config: Config) -> None:
        self.task, self.held, self.config = task, held, config
        self.steps = len(held) // config.train.batch_size
        self.next_step = -1
        self.rest: Iterator[Batch] = iter(())

    def batch(self, step: int) -> Batch:
        """Return the batch of a step; steps that follow each other go on in one pass."""
        epoch, place = divmod(step, self.steps)
        if step != self.next_step or place == 0:
            self.rest = self._pass(epoch, place)
        self.next_step = step + 1
        return next(self.rest)

    def _pass(self, epoch: int, place: int) -> Iterator[Batch]:
        return training_batches(
            self.task.dataset,
            self.held,
            config=self.config,
            purpose="augment alpha",
            seed=derive(self.config.seed, "order of alpha"),
            epoch=epoch,
            size=self.config.train.batch_size,
            start=place,
        )
