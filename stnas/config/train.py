"""Training of the hyper-network."""

from dataclasses import dataclass
from typing import Literal, get_args

from stnas.config import rules

Sampling = Literal["p_drop", "uniform", "fair", "bins"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class TrainConfig:
    """How the shared weights are trained (paper, Algorithm 1 and section 4.1)."""

    epochs: int = 600
    """Passes over the training images."""
    batch_size: int = 512
    """Images a step."""
    micro_batches: int = 1
    """Parts of a batch, each with BN statistics of its own, whose gradients are averaged. Several
    processes share them out evenly; under torchrun the default is one a process."""
    sync_batch_norm: bool = False
    """Whether BN uses the statistics of the whole batch instead: of as many processes as there are
    parts. Needs kernels `reference`."""
    precision: Precision = "float32"
    """What the values between the layers are stored in while training, and while sampling: in
    `bfloat16` they take half the memory. Weights, gradients of weights and sums stay float32."""
    learning_rate: float = 0.1
    """Learning rate at the first step; the cosine schedule starts here."""
    final_learning_rate: float = 2.5e-4
    """Learning rate that the cosine schedule ends at."""
    weight_decay: float = 1e-4
    """Factor of the L2 term, applied to the activated tensors alone."""
    sampling: Sampling = "p_drop"
    """How the architecture of a step is drawn: `p_drop` (eq. 5), `uniform` (eq. 3), `fair` or
    `bins`."""
    p_drop: float = 0.6
    """Probability that a branch edge is left out."""
    madds: float | None = None
    """Mean multiply-adds of the drawn architectures (eq. 4); p_drop is solved from it."""
    affine: bool = False
    """Whether the shared BN layers have a scale and a shift."""
    checkpoints: int = 10
    """Epochs, counted from the last, whose weights are kept for `stnas rank`."""
    ema: tuple[float, ...] = ()
    """Decays d of exponential moving averages of the weights that are kept for `stnas rank`:
    the weights of t steps before the end have a share proportional to d^t."""

    def __post_init__(self) -> None:
        """Check the section."""
        rules.at_least("train.epochs", self.epochs, 1)
        rules.at_least("train.batch_size", self.batch_size, 2)
        rules.parts("train.micro_batches", self.micro_batches, of=self.batch_size)
        rules.one_of("train.precision", self.precision, get_args(Precision))
        rules.positive("train.learning_rate", self.learning_rate)
        rules.not_negative("train.final_learning_rate", self.final_learning_rate)
        rules.require(
            self.final_learning_rate <= self.learning_rate,
            "train.final_learning_rate",
            f"at most train.learning_rate = {self.learning_rate}",
            self.final_learning_rate,
        )
        rules.not_negative("train.weight_decay", self.weight_decay)
        rules.probability("train.p_drop", self.p_drop)
        rules.at_least("train.checkpoints", self.checkpoints, 0)
        for decay in self.ema:
            rules.require(0 < decay < 1, "train.ema", "of decays in (0, 1)", decay)
        distinct = len(set(self.ema)) == len(self.ema)
        rules.require(distinct, "train.ema", "without repetition", self.ema)
        if self.madds is not None:
            rules.positive("train.madds", self.madds)
            rules.require(
                self.sampling in ("p_drop", "fair"),
                "train.madds",
                "used with train.sampling p_drop or fair, the two that have a p_drop to solve",
                self.madds,
            )
