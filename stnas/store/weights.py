"""Weights that training keeps beside the last ones: those of epochs, and moving averages."""

from pathlib import Path

from stnas.config import Config


def checkpoint_file(folder: Path, epoch: int) -> Path:
    """Name the weights after an epoch, in training's folder."""
    return folder / f"epoch-{epoch:04d}.safetensors"


def average_file(folder: Path, decay: float) -> Path:
    """Name the moving average with a decay, in training's folder."""
    return folder / f"ema-{decay}.safetensors"


def checkpoint_files(folder: Path, config: Config) -> list[Path]:
    """List the weights of the last epochs, the last one last."""
    train = config.train
    first = max(0, train.epochs - train.checkpoints)
    return [checkpoint_file(folder, epoch) for epoch in range(first, train.epochs)]
