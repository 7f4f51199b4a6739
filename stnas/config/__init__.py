"""Configuration: one frozen dataclass a section, standard library alone."""

import os.path
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stnas.config import rules
from stnas.config.alpha import AlphaConfig
from stnas.config.data import DataConfig
from stnas.config.rank import RankConfig
from stnas.config.retrain import RetrainConfig
from stnas.config.search import SearchConfig
from stnas.config.sgld import SgldConfig
from stnas.config.sharing import SharingConfig
from stnas.config.space import SpaceConfig
from stnas.config.train import TrainConfig
from stnas.config.verdict import VerdictConfig

Kernels = Literal["fused", "reference"]


@dataclass(frozen=True)
class Config:
    """Everything that determines a run."""

    run: str = "runs/default"
    """Run folder: every stage reads the ones before it there and writes its own folder."""
    seed: int = 0
    """Seed of every random choice: weights, architectures, batches, augmentation, search."""
    threads: int | None = None
    """Threads of the processor to compute on; default: all of them."""
    device: str = "auto"
    """What every stage computes on: `cpu`; `cuda`, which gives each process of a machine a GPU of
    its own; `cuda:N`, one of them; or `auto`, a GPU where there is one that stnas has kernels for.
    A run may go on on another device, with other last bits, which its log and records say."""
    timeout: float = 600.0
    """Seconds that a process waits for the others, where torchrun started several."""
    kernels: Kernels = "fused"
    """Code of the choice block: `fused` is compiled, `reference` is plain PyTorch."""
    save_every: float = 300.0
    """Seconds between two states that are saved inside an epoch; one is saved after each anyway."""
    allow_mixed: bool = False
    """Whether a stage that was begun with other versions of stnas or torch, or on a processor with
    other instructions, may go on here: its last bits are then neither's."""
    space: SpaceConfig = field(default_factory=SpaceConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    sharing: SharingConfig = field(default_factory=SharingConfig)
    alpha: AlphaConfig = field(default_factory=AlphaConfig)
    sgld: SgldConfig = field(default_factory=SgldConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    verdict: VerdictConfig = field(default_factory=VerdictConfig)
    rank: RankConfig = field(default_factory=RankConfig)
    retrain: RetrainConfig = field(default_factory=RetrainConfig)

    @property
    def folder(self) -> Path:
        """Return the run folder, ``~`` in front standing for the home folder."""
        return Path(os.path.expanduser(self.run))

    def __post_init__(self) -> None:
        """Check what concerns no single section."""
        rules.require(bool(self.run), "run", "the path of a folder", self.run)
        rules.require(0 <= self.seed < 2**63, "seed", "in [0, 2^63)", self.seed)
        if self.threads is not None:
            rules.at_least("threads", self.threads, 1)
        if re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", self.device, re.ASCII) is None:
            raise ValueError(
                f"device must be auto, cpu, cuda or cuda:N, got {self.device!r}: correct the word"
            )
        rules.positive("timeout", self.timeout)
        if self.search.bound > 0:
            rules.at_least("sgld.samples with search.bound", self.sgld.samples, 2)
        rules.not_negative("save_every", self.save_every)
        if self.retrain.augment != "none" and self.data.streamed:
            raise ValueError(
                f"retrain.augment must be none with data.backend {self.data.backend}, got "
                f"{self.retrain.augment!r}: set data.backend memory, or data.jitter 0.4 instead"
            )
        rules.compiled_kernels("space.kernels", self.space.kernels or (), kernels=self.kernels)
        rules.plain_kernels(self.space.family, self.space.profile, kernels=self.kernels)
        for name, wanted in (
            ("train", self.train.sync_batch_norm),
            ("retrain", self.retrain.sync_batch_norm),
        ):
            rules.synchronised(f"{name}.sync_batch_norm", wanted, kernels=self.kernels)


__all__ = [
    "AlphaConfig",
    "Config",
    "DataConfig",
    "RankConfig",
    "RetrainConfig",
    "SearchConfig",
    "SgldConfig",
    "SharingConfig",
    "SpaceConfig",
    "TrainConfig",
    "VerdictConfig",
]
