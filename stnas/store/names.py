"""Names of the files and folders of a run: each in this one place."""

from pathlib import Path

from stnas.config import Config

CONFIG = "config.json"
"""The sections that determine a stage, in its folder."""
RESULT = "result.json"
"""What a stage found; it is written last and makes the stage complete."""
SETTINGS = "config.yaml"
METRICS = "metrics.jsonl"
LOCK = ".lock"
TENSORBOARD = "tensorboard"
TRUTH = "truth"
CHAINS = "chains"
SCAN = "data/scan.safetensors"
REPORT = "report/report.html"
EXPORT = "export"
EVALUATE = "evaluate"
LATENCY = "latency"
DETECT = "detect"
CARD = "card.json"
"""What an export found, and the list of its files."""
FIGURES = "evaluation.json"
"""What an evaluation found, and the list of its files."""
DETECTION = "detection.json"
"""What training a detector found, and the list of its files."""
DETECTOR = "detector.safetensors"
FOUND = "found.json"
"""What a detector found on the test images, as COCO lists results."""
STATE = "state.safetensors"
WEIGHTS = "weights.safetensors"
MEAN = "mean.safetensors"
ARCHIVE = "archive.jsonl"
RANDOM = "random.jsonl"
"""Scores of random architectures, which a search is held against."""
FRONT = "front.json"
SCORES = "scores.jsonl"
NETWORK = "network.safetensors"
DESCRIPTION = "network.json"
"""The description of a network, beside its weights."""


def previous(state: str) -> str:
    """Name the state before the last one."""
    name = Path(state)
    return f"{name.stem}.previous{name.suffix}"


def checkpoint_file(folder: Path, epoch: int) -> Path:
    """Name the weights after an epoch, in training's folder."""
    return folder / f"epoch-{epoch:04d}.safetensors"


def checkpoint_files(folder: Path, config: Config) -> list[Path]:
    """List the weights of the last epochs, the last one last."""
    train = config.train
    first = max(0, train.epochs - train.checkpoints)
    return [checkpoint_file(folder, epoch) for epoch in range(first, train.epochs)]


def average_file(folder: Path, decay: float) -> Path:
    """Name the moving average with a decay, in training's folder."""
    return folder / f"ema-{decay}.safetensors"


def sample_files(folder: Path, count: int) -> list[Path]:
    """Name the samples of a chain, the weights that it begins with first."""
    return [folder / f"sample-{k:03d}.safetensors" for k in range(count)]


def rung_file(folder: Path, genotype: str, rung: int) -> Path:
    """Name what an architecture reached at the end of a rung of the verdict."""
    return folder / genotype / f"rung-{rung}.json"


def width_name(name: str, width: float) -> str:
    """Name a network whose channels are scaled after the one that it is scaled from."""
    return name if width == 1 else f"{name}-width-{width:g}"


def truth_file(folder: Path, genotype: str, seed: int) -> Path:
    """Name what an architecture reached in one training from scratch."""
    return folder / f"{genotype}-seed-{seed}.json"
