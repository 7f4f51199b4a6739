"""Measurement of how far a ranking can be trusted."""

import re
from dataclasses import dataclass
from typing import Literal

from stnas.config import rules
from stnas.config.sgld import NoiseMode

WayKind = Literal["single", "tail", "ema", "chain", "finetune", "probe"]
GRAMMAR = re.compile(
    r"(?P<single>single)|(?P<tail>tail)|ema-(?P<ema>0?\.\d+)|finetune-(?P<finetune>\d+|epoch)"
    r"|probe-(?P<probe>[1-9]\d*)"
    r"|((?P<mode>none|posterior|literal)|relative-(?P<rho>\d*\.?\d+))(@(?P<rate>\d*\.?\d+(e-?\d+)?))?"
)
WAYS = (
    "single",
    "tail",
    "ema-0.999",
    "ema-0.9999",
    "none",
    "posterior",
    "relative-0.01",
    "relative-0.02",
    "relative-0.05",
    "literal",
    "finetune-10",
    "finetune-100",
    "finetune-epoch",
)


@dataclass(frozen=True)
class Way:
    """A way of scoring: its name, and what the name says.

    mode, rho, rate: of a chain; rate None is ``sgld.learning_rate``. decay: of an EMA. steps: of
    fine-tuning; None is an epoch. images: that a probe is fitted to.
    """

    name: str
    kind: WayKind
    mode: NoiseMode = "none"
    rho: float = 0.0
    rate: float | None = None
    decay: float = 0.0
    steps: int | None = None
    images: int = 0


def parse_way(name: str) -> Way:
    """Read a way's name; ValueError that shows the grammar for any other word."""
    found = GRAMMAR.fullmatch(name)
    if found is None:
        raise ValueError(
            f"rank.ways must be words of single, tail, ema-DECAY, none, posterior, literal, "
            f"relative-RHO (each of these four also with @RATE behind), finetune-STEPS, "
            f"finetune-epoch and probe-IMAGES, got {name!r}: correct the word"
        )
    if found["mode"] or found["rho"]:
        rate = None if found["rate"] is None else float(found["rate"])
        mode: NoiseMode = found["mode"] or "relative"  # type: ignore[assignment]
        return Way(name, "chain", mode=mode, rho=float(found["rho"] or 0), rate=rate)
    if found["ema"]:
        return Way(name, "ema", decay=float(found["ema"]))
    if found["finetune"]:
        steps = None if found["finetune"] == "epoch" else int(found["finetune"])
        return Way(name, "finetune", steps=steps)
    if found["probe"]:
        return Way(name, "probe", images=int(found["probe"]))
    return Way(name, "single" if found["single"] else "tail")


@dataclass(frozen=True)
class RankConfig:
    """Which architectures are trained from scratch, and which rankings are held against that."""

    architectures: int = 36
    """Architectures to compare, one from each of so many equally probable ranges of MAdds of the
    sampler's."""
    genotypes: str | None = None
    """File with the genotypes to compare instead, one a line."""
    table: str | None = None
    """JSON or .npz file of accuracies by genotype, such as a public benchmark's: the ground truth,
    in place of trainings; or `nasbench201-cifar10`, `nasbench201-cifar100`,
    `nasbench201-imagenet16`, with the extra `bench` installed. `rank.architectures` of its networks
    are compared, at most all."""
    truth: str | None = None
    """Folder of the trainings from scratch; default: `truth` in the run folder. Several runs on the
    same images may name one folder: what one has trained the others read, and processes that work
    at the same time share the trainings out."""
    truth_epochs: int | None = None
    """Epochs of a training from scratch, which otherwise follows the section `retrain`; default:
    `retrain.epochs`."""
    truth_seeds: int = 2
    """Trainings from scratch of an architecture, each with a seed of its own."""
    repeated: int = 12
    """Architectures that are trained with every seed, spread over the MAdds; the others are
    trained with the first seed."""
    ways: tuple[str, ...] | None = None
    """Ways of scoring: `single` (each of the kept checkpoints; figures are medians), `tail` (their
    average), `ema-DECAY`, `none`, `posterior`, `relative-RHO`, `literal` (chains of `sgld.samples`
    samples; `@RATE` behind replaces `sgld.learning_rate`), `finetune-STEPS`, `finetune-epoch`,
    `probe-IMAGES` (a classifier of its own, fitted to so many training images: docs/ranking.md).
    Default: all that the trained run has the files for."""
    finetune_learning_rate: float = 0.01
    """Learning rate of fine-tuning an architecture cut out of the hyper-network."""
    shared_statistics_steps: int = 400
    """Random architectures, a recalibration batch each, whose BN statistics are averaged to score
    without recalibration, rounded up to whole passes over the batches; 0 leaves these rankings
    out."""
    bands: int = 3
    """Ranges of MAdds, of equally many architectures each, inside which tau is measured too."""
    resamples: int = 2000
    """Bootstrap samples of the architectures behind every interval."""

    def __post_init__(self) -> None:
        """Check the section."""
        rules.at_least("rank.architectures", self.architectures, 4)
        if self.table is not None and self.genotypes is not None:
            raise ValueError(
                "rank.genotypes must be left out with rank.table, whose own networks are compared, "
                f"got {self.genotypes!r}: leave one of them out"
            )
        if self.truth_epochs is not None:
            rules.at_least("rank.truth_epochs", self.truth_epochs, 1)
        rules.at_least("rank.truth_seeds", self.truth_seeds, 1)
        rules.at_least("rank.repeated", self.repeated, 0)
        for way in self.ways or ():
            parse_way(way)
        if self.ways is not None:
            distinct = len(set(self.ways)) == len(self.ways) > 0
            rules.require(distinct, "rank.ways", "one way or more, without repetition", self.ways)
        rules.positive("rank.finetune_learning_rate", self.finetune_learning_rate)
        rules.at_least("rank.shared_statistics_steps", self.shared_statistics_steps, 0)
        rules.at_least("rank.bands", self.bands, 1)
        rules.at_least("rank.resamples", self.resamples, 100)
