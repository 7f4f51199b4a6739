"""Training of the hyper-network."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

from stnas.config import rules

Sampling = Literal["p_drop", "uniform", "fair", "bins", "tilted"]
Schedule = Literal["cosine", "linear"]
Initialisation = Literal["torch", "normal", "kaiming"]
Precision = Literal["float32", "bfloat16"]
Strategy = Literal["single_path", "spos", "darts1", "darts2", "gdas", "betadarts", "pcdarts"]


@dataclass(frozen=True)
class TrainConfig:
    """How the shared weights are trained (paper, Algorithm 1 and section 4.1)."""

    epochs: int = 600
    """Passes over the training images."""
    batch_size: int = 512
    """Images a step."""
    strategy: Strategy = "single_path"
    """`single_path`: one random architecture a step; `spos`: the same, uniformly. The others mix
    all candidates of an edge and derive a cell, in spaces of cells (docs/toponas.md): `darts1` and
    `darts2` (first and second order), `gdas`, `betadarts`, `pcdarts`; they halve the training
    images."""
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
    """Learning rate at the first step; the schedule starts here."""
    final_learning_rate: float = 2.5e-4
    """Learning rate that the schedule ends at."""
    schedule: Schedule = "cosine"
    """How the learning rate falls: along a `cosine`, or `linear`."""
    momentum: float = 0.0
    """Factor of the velocity of an activated tensor; one that is not activated keeps its own. With
    momentum, biases and the affine parameters of BN do not decay."""
    weight_decay: float = 1e-4
    """Factor of the L2 term, applied to the activated tensors alone."""
    label_smoothing: float = 0.0
    """Share of the label's weight in the loss that is spread evenly over all classes."""
    initialisation: Initialisation = "torch"
    """What weights are drawn from at first: what `torch` gives its layers, the `normal` of SPOS's
    authors, or `kaiming`."""
    sampling: Sampling = "p_drop"
    """How the architecture of a step is drawn: `p_drop` (eq. 5), `uniform` (eq. 3), `fair` (each
    choice of a block once in as many steps as it has), `bins` (alike many of each range of
    multiply-adds) or `tilted` (dear choices rarer, or more frequent, so that the mean is
    train.madds)."""
    madds_bins: tuple[float, ...] | None = None
    """Multiply-adds at which the ranges of `bins` end, in chains: a range is drawn, then a network
    uniformly among all in it. Default: eight ranges of one width, between the quantiles of 1 % and
    99 %."""
    p_drop: float = 0.6
    """Probability that a branch edge is left out."""
    madds: float | None = None
    """Mean multiply-adds of the drawn architectures (eq. 4); p_drop, or the tilt of a chain, is
    solved from it."""
    scale_warmup: float | None = None
    """With `space.scales`: the first half of the epochs trains the largest scale alone, then the
    next smaller one enters every so many epochs; 0: all are there from the start. Default: the last
    enters after three quarters of the epochs."""
    float_share: float = 0.2
    """Share of the steps, the first ones, in which the blocks of the family quant are not
    quantised."""
    affine: bool = False
    """Whether the shared BN layers have a scale and a shift."""
    checkpoints: int = 10
    """Epochs, counted from the last, whose weights are kept for `stnas rank`."""
    ema: tuple[float, ...] = ()
    """Decays d of exponential moving averages of the weights that are kept for `stnas rank`:
    the weights of t steps before the end have a share proportional to d^t."""

    def __post_init__(self) -> None:
        """Check the section."""
        rules.one_of("train.strategy", self.strategy, get_args(Strategy))
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
        rules.one_of("train.schedule", self.schedule, get_args(Schedule))
        rules.one_of("train.initialisation", self.initialisation, get_args(Initialisation))
        rules.share("train.momentum", self.momentum)
        rules.probability("train.float_share", self.float_share)
        if self.scale_warmup is not None:
            rules.not_negative("train.scale_warmup", self.scale_warmup)
        rules.share("train.label_smoothing", self.label_smoothing)
        rules.at_least("train.checkpoints", self.checkpoints, 0)
        for decay in self.ema:
            rules.require(0 < decay < 1, "train.ema", "of decays in (0, 1)", decay)
        distinct = len(set(self.ema)) == len(self.ema)
        rules.require(distinct, "train.ema", "without repetition", self.ema)
        self._check_law()

    @property
    def mixes(self) -> bool:
        """Tell whether a step mixes candidates, so that training derives a cell."""
        return self.strategy not in ("single_path", "spos")

    def _check_law(self) -> None:
        """Refuse figures that the law of drawing does not have."""
        if self.madds is not None:
            rules.positive("train.madds", self.madds)
            rules.require(
                self.sampling in ("p_drop", "fair", "tilted"),
                "train.madds",
                "used with train.sampling p_drop, fair or tilted, which have something to solve",
                self.madds,
            )
        elif self.sampling == "tilted":
            raise ValueError(
                "train.madds must be given with train.sampling tilted, got None: name the mean "
                "multiply-adds, or set --train.sampling uniform"
            )
        ends = self.madds_bins
        if ends is not None:
            rules.require(
                self.sampling == "bins",
                "train.madds_bins",
                "left out, or used with train.sampling bins",
                ends,
            )
            rules.require(
                len(ends) > 1 and all(low < high for low, high in pairwise(ends)),
                "train.madds_bins",
                "two numbers or more that rise, such as [290e6,300e6,310e6]",
                ends,
            )
