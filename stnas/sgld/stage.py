"""Draw one sample of the shared weights an epoch, and average them."""

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stnas.config import Config
from stnas.engine.accumulation import own_parts
from stnas.engine.files import load_weights_, read_tensors, write_tensors
from stnas.engine.journal import Journal
from stnas.engine.materials import build_supernet, prepare
from stnas.engine.process_group import current
from stnas.engine.run_folder import RunFolder
from stnas.engine.shared_weights import Step, steps_per_epoch, train_epoch_
from stnas.sgld.drift import drift_report


def run(config: Config) -> None:
    """Draw K samples: ``sample-000`` is the trained weights, each other follows an epoch later.

    An interrupted run goes on from the last sample that was saved.
    """
    with RunFolder(config) as folder:
        folder.check("sgld")
        own_parts("train.micro_batches", config.train.micro_batches)
        begin = time.perf_counter()
        materials = prepare(config, folder)
        stage = folder.begin("sgld")
        supernet = build_supernet(config, materials.space)
        files = sample_files(stage, config.sgld.samples)
        trained = folder.path / "train" / "weights.safetensors"
        done = current().first(lambda: first_sample_(supernet, trained, files))
        current().spread_(supernet.state_dict().values())
        images = len(materials.dataset.train.labels)
        step = constant_step(config, images)
        with Journal(folder, "sgld", total=len(files) - 1, start=done - 1) as journal:
            journal.say(report(config, supernet, images))
            for k in range(done, len(files)):
                train_epoch_(
                    supernet,
                    materials,
                    config=config,
                    epoch=config.train.epochs + k - 1,
                    step=step,
                    journal=journal,
                    shown=k - 1,
                )
                write_tensors(files[k], supernet.state_dict(), sample=k)
        current().first(
            lambda: write_tensors(stage / "mean.safetensors", mean(files), samples=len(files))
        )
        seconds = time.perf_counter() - begin
        folder.finish("sgld", {"seconds": seconds, "samples": len(files)})


def sample_files(folder: Path, count: int) -> list[Path]:
    """Name the files of the samples."""
    return [folder / f"sample-{k:03d}.safetensors" for k in range(count)]


def first_sample_(supernet: torch.nn.Module, trained: Path, files: list[Path]) -> int:
    """Load the last sample that is there and return how many are; the first is copied."""
    done = 0
    while done < len(files) and files[done].exists():
        done += 1
    load_weights_(supernet, files[done - 1] if done else trained)
    if done == 0:
        write_tensors(files[0], supernet.state_dict(), sample=0)
    return max(done, 1)


def constant_step(config: Config, images: int) -> Step:
    """Make the step of eq. 9: constant learning rate, noise of the configured mode."""
    sgld = config.sgld
    options: dict[str, Any] = {
        "weight_decay": sgld.weight_decay,
        "mode": sgld.mode,
        "temperature": sgld.temperature,
        "num_data": images,
        "rho": sgld.rho,
        "steps_per_epoch": steps_per_epoch(images, config.train.batch_size),
    }
    return Step(lambda _: sgld.learning_rate, options)


def report(config: Config, supernet: torch.nn.Module, images: int) -> str:
    """Say how far the noise is expected to move the weights of stem and tail."""
    weights = [
        parameter
        for name, parameter in supernet.named_parameters()
        if name.startswith(("stem.", "tail.")) and parameter.ndim > 1
    ]
    return drift_report(
        config.sgld,
        weights,
        num_data=images,
        steps_per_epoch=steps_per_epoch(images, config.train.batch_size),
    )


def mean(files: list[Path]) -> dict[str, Tensor]:
    """Return the float32 running mean of the samples: ``m_k = m_(k-1) + (w_k - m_(k-1)) / k``."""
    total, _ = read_tensors(files[0])
    for k, file in enumerate(files[1:], start=2):
        sample, _ = read_tensors(file)
        for name, value in total.items():
            value.add_((sample[name] - value) / k)
    return total
