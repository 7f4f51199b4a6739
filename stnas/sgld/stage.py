"""Draw one sample of the shared weights an epoch, and average them."""

from collections.abc import Sequence
from pathlib import Path

import torch

from stnas.config import Config
from stnas.group.processes import current, led
from stnas.learn.gradients import own_parts
from stnas.learn.sgld_chain import draw_, mean
from stnas.learn.supernet_epoch import load_together_, steps_per_epoch
from stnas.learn.task import Check, Task, build_supernet, check_batch, check_start, prepare
from stnas.sgld.drift import drift_report
from stnas.store.checkpoint import Saver
from stnas.store.journal import Journal
from stnas.store.names import MEAN, STATE, WEIGHTS, sample_files
from stnas.store.results import SgldResult
from stnas.store.run_folder import RunFolder
from stnas.store.tensors import write_tensors


def check(config: Config, task: Task) -> None:
    """Raise ValueError where sampling could not work on these images."""
    if config.train.mixes:
        raise ValueError(
            "stnas sgld samples the weights of single paths, which train.strategy "
            f"{config.train.strategy} does not train: set --search.score single, or train with "
            "--train.strategy single_path in another --run"
        )
    own_parts("train", config.train)
    check_batch("train.batch_size", config.train.batch_size, len(task.dataset.train))


def run(config: Config, *, ahead: Sequence[Check] = ()) -> None:
    """Draw K samples: ``sample-000`` is the trained weights, each other follows an epoch later.

    An interrupted run goes on inside an epoch from the last state, or from the last sample; a
    damaged sample is drawn again from the one before it. ahead: checks of stages that are to
    follow, made before anything is recorded.
    """
    with RunFolder(config) as folder:
        check_start(folder, "sgld")
        task = prepare(config, folder)
        for fits in (check, *ahead):
            fits(config, task)
        stage = folder.begin("sgld")
        supernet = build_supernet(config, task.space)
        files = sample_files(stage, config.sgld.samples)
        with (
            Journal(folder, "sgld", total=len(files) - 1) as journal,
            Saver(
                stage / STATE,
                every=config.save_every,
                origin=folder.origin("sgld"),
                tensors=supernet.state_dict,
            ) as saver,
        ):
            trained = folder.path / "train" / WEIGHTS
            load_together_(supernet, trained, origin=folder.origin("train"))
            journal.say(report(config, supernet, len(task.dataset.train)))
            led(write_tensors)(files[0], supernet.state_dict(), sample=0, origin=saver.origin)
            draw_(supernet, task, files, config=config, journal=journal, saver=saver)
            current().first(lambda: write_mean(stage, files, origin=saver.origin))
            result: SgldResult = {"seconds": saver.seconds(), "samples": len(files)}
            folder.finish("sgld", result)
            saver.drop()


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


def write_mean(folder: Path, files: list[Path], *, origin: str) -> None:
    """Write the mean of the samples."""
    write_tensors(folder / MEAN, mean(files), samples=len(files), origin=origin)
