"""What to do where a GPU has no memory left: the error names the options that it depends on."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from stnas.config import Config, RetrainConfig, SearchConfig, TrainConfig


@contextmanager
def repaired_by(repair: str) -> Iterator[None]:
    """Raise RuntimeError with a repair where a GPU's memory does not suffice for what is inside."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        wanted = str(error).split(". ")[1:2] or ["no more was to be had"]
        raise RuntimeError(f"the GPU has too little memory ({wanted[0]}): {repair}") from error


def smaller_parts(
    section: str, options: TrainConfig | RetrainConfig, last: str, *, others: tuple[str, ...] = ()
) -> str:
    """Say how the steps of a training take less memory. last: where the last state is.

    others: options that help, too.
    """
    size, parts = options.batch_size, options.micro_batches
    more = next((n for n in range(2 * parts, size, parts) if size % n == 0), None)
    whole = isinstance(options, TrainConfig) and options.mixes
    repairs = [] if more is None or whole else [f"--{section}.micro_batches {more}"]
    if options.precision == "float32":
        repairs.append(f"--{section}.precision bfloat16")
    repairs += [f"--{section}.batch_size {max(2, size // 2)}", *others]
    cut = "" if whole else f", in {parts} parts that are worked on one after the other"
    return (
        f"{section}.batch_size is {size}{cut}: "
        f"set {' or '.join(repairs)} in another --run, or go on on a GPU with more memory ({last})"
    )


def less_of_training(config: Config, last: str) -> str:
    """Say how the steps of the hyper-network take less memory; a mixture by more sharing, too."""
    shares = not config.train.mixes or config.sharing.level != "none"
    others = () if shares else ("--sharing.level merge",)
    return smaller_parts("train", config.train, last, others=others)


def smaller_batches(options: SearchConfig) -> str:
    """Say how scoring takes less memory."""
    return (
        f"search.evaluation_batch is {options.evaluation_batch} and search.recalibration_batch "
        f"{options.recalibration_batch}: set --search.evaluation_batch "
        f"{max(1, options.evaluation_batch // 2)} or --search.recalibration_batch "
        f"{max(2, options.recalibration_batch // 2)} in another --run"
    )


def smaller_tests(options: RetrainConfig) -> str:
    """Say how classifying with a network that was trained alone takes less memory."""
    size = options.evaluation_batch
    return (
        f"retrain.evaluation_batch is {size}: set --retrain.evaluation_batch {max(1, size // 2)} "
        "in another --run"
    )


def shorter_tuning(options: TrainConfig) -> str:
    """Say how fine-tuning, whose batches are those of training, takes less memory."""
    return (
        f"fine-tuning takes whole batches of train.batch_size = {options.batch_size}: leave the "
        "ways finetune-N out of --rank.ways, or go on on a GPU with more memory"
    )


FEWER_IMAGES = (
    "all images lie there as bytes: set --data.train_limit or --data.image_size lower in another "
    "--run, stream a folder with --data.backend pillow, or set --device cpu"
)
"""What to do where the images themselves do not fit."""
ON_THE_PROCESSOR = "set --device cpu"
"""What to do where nothing smaller can be asked for."""
