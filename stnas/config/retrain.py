"""Training of the chosen networks on their own."""

from dataclasses import dataclass
from typing import Literal, get_args

from stnas.config import rules
from stnas.config.train import Initialisation, Precision, Schedule

Augment = Literal["none", "trivial"]
Baseline = Literal["separable", "mobilenet_v2", "shufflenet_v2", "uniform_bits"]


@dataclass(frozen=True)
class RetrainConfig:
    """How a chosen network is trained from scratch (paper, section 4.1)."""

    epochs: int = 300
    """Passes over the training images."""
    batch_size: int = 2048
    """Images a step."""
    micro_batches: int = 1
    """Parts of a batch, each with BN statistics of its own, whose gradients are averaged. Several
    processes share them out evenly; under torchrun the default is one a process."""
    sync_batch_norm: bool = False
    """Whether BN uses the statistics of the whole batch instead: of as many processes as there are
    parts. Needs kernels `reference`."""
    precision: Precision = "float32"
    """What the values between the layers are stored in, as in `train.precision`."""
    cuda_graph: bool = False
    """Whether a GPU is told of the kernels of a step once and replays them as a CUDA graph, which
    spares the host their launches. For one process with a batch in one part and no mixup; it moves
    speed and, by the choice of kernels, rounding. So far it has run on an emulated GPU alone."""
    learning_rate: float = 0.8
    """Learning rate after the warm-up; from there it falls to 0."""
    schedule: Schedule = "cosine"
    """How the learning rate falls: along a `cosine`, or `linear`. Candidates of the verdict follow
    cosines."""
    warmup_epochs: float = 5.0
    """Epochs in which the learning rate rises linearly from 0."""
    momentum: float = 0.9
    """Momentum of SGD."""
    nesterov: bool = True
    """Whether the momentum is Nesterov's."""
    weight_decay: float = 1e-4
    """Factor of the L2 term."""
    decay_vectors: bool = True
    """Whether biases and the affine parameters of BN decay, too."""
    label_smoothing: float = 0.0
    """Share of the label's weight in the loss that is spread evenly over all classes."""
    initialisation: Initialisation = "torch"
    """What weights are drawn from at first, as in `train.initialisation`."""
    recalibrate: bool = False
    """Whether BN statistics are at last computed anew, as the mean over one more pass over the
    training images in which no weight moves."""
    random_twins: int = 1
    """Random architectures of the same multiply-adds, within 2 %, trained the same way beside each
    choice. Three or more of them tell how far their accuracies spread, and so whether a lead is
    one."""
    baselines: tuple[Baseline, ...] = ()
    """Hand-made networks scaled to the same multiply-adds and trained the same way beside each
    choice: chains of `separable` convolutions, of the inverted residuals of `mobilenet_v2`, of the
    units of `shufflenet_v2`. In the family quant `uniform_bits`, the same network with as many bits
    everywhere as the operations on bits allow that the choice was limited to."""
    genotypes: tuple[str, ...] = ()
    """Architectures to train instead of the choices, named G1, G2, ...: texts as a report shows
    them. `stnas retrain --genotype TEXT` gives one."""
    widths: tuple[float, ...] = ()
    """Factors of the channels of stem, stages and tail: each choice is trained with them scaled,
    too, and named A-width-1.5. Weights of other channels do not fit, so it takes a training."""
    seeds: int = 1
    """Trainings of each chosen and each hand-made network, from other weights and in another order;
    their mean and spread are told."""
    ema: float = 0.0
    """Decay a step of the moving average of weights and statistics, which is what is judged and
    kept; 0: the last weights are."""
    mixup: float = 0.0
    """Both parameters of the Beta distribution from which a step's share is drawn in which every
    image, and its label's loss, is mixed with another of the batch; 0: off."""
    augment: Augment = "none"
    """What is done to each training image before its window is cut: `none`, or `trivial`, one
    operation of a random strength (torchvision's TrivialAugmentWide), for images in memory."""
    evaluation_batch: int = 256
    """Images a batch of the evaluation of what was trained; it moves speed and rounding alone."""
    with_validation: bool = True
    """Whether the images held out for the search are trained on too; test images never are."""

    def __post_init__(self) -> None:
        """Check the section."""
        rules.at_least("retrain.epochs", self.epochs, 1)
        rules.at_least("retrain.batch_size", self.batch_size, 2)
        rules.at_least("retrain.evaluation_batch", self.evaluation_batch, 1)
        rules.parts("retrain.micro_batches", self.micro_batches, of=self.batch_size)
        rules.one_of("retrain.precision", self.precision, get_args(Precision))
        rules.positive("retrain.learning_rate", self.learning_rate)
        rules.require(
            0 <= self.warmup_epochs < self.epochs,
            "retrain.warmup_epochs",
            f"in [0, retrain.epochs = {self.epochs})",
            self.warmup_epochs,
        )
        rules.require(0 <= self.momentum < 1, "retrain.momentum", "in [0, 1)", self.momentum)
        rules.one_of("retrain.schedule", self.schedule, get_args(Schedule))
        rules.one_of("retrain.initialisation", self.initialisation, get_args(Initialisation))
        rules.share("retrain.label_smoothing", self.label_smoothing)
        rules.not_negative("retrain.weight_decay", self.weight_decay)
        rules.at_least("retrain.random_twins", self.random_twins, 0)
        rules.at_least("retrain.seeds", self.seeds, 1)
        rules.share("retrain.ema", self.ema)
        rules.not_negative("retrain.mixup", self.mixup)
        rules.one_of("retrain.augment", self.augment, get_args(Augment))
        if self.ema and self.recalibrate:
            raise ValueError(
                "retrain.recalibrate must be false with retrain.ema, which averages "
                "statistics, too, got true: set one of them"
            )
        for baseline in self.baselines:
            rules.one_of("retrain.baselines", baseline, get_args(Baseline))
        rules.require(
            len(set(self.genotypes)) == len(self.genotypes),
            "retrain.genotypes",
            "without repetition",
            self.genotypes,
        )
        for width in self.widths:
            rules.width("retrain.widths", width)
        rules.require(
            len(set(self.widths)) == len(self.widths) and 1 not in self.widths,
            "retrain.widths",
            "without repetition, and without 1, the choice itself",
            self.widths,
        )
        rules.require(
            len(set(self.baselines)) == len(self.baselines),
            "retrain.baselines",
            "without repetition",
            self.baselines,
        )
