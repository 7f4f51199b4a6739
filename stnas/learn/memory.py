"""What to do where a GPU has no memory left: the error names the options that it depends on."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from stnas.config import RetrainConfig, SearchConfig, TrainConfig


@contextmanager
def repaired_by(repair: str) -> Iterator[None]:
    """Raise RuntimeError with a repair where a GPU's memory does not suffice for what is inside."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        wanted = str(error).split(". ")[1:2] or ["no more was to be had"]
        raise RuntimeError(f"the GPU has too little memory ({wanted[0]}): {repair}") from error


def smaller_parts(section: str, options: TrainConfig | RetrainConfig, last: str) -> str:
    """Say how the steps of a training take less memory. last: where the last state is."""
    size, parts = options.batch_size, options.micro_batches
    more = next((n for n in range(2 * parts, size, parts) if size % n == 0), None)
    repairs = [] if more is None else [f"--{section}.micro_batches {more}"]
    if options.precision == "float32":
        repairs.append(f"--{section}.precision bfloat16")
    repairs.append(f"--{section}.batch_size {max(2, size // 2)}")
    return (
        f"{section}.batch_size is {size}, in {parts} parts that are worked on one after the other: "
        f"set {' or '.join(repairs)} in another --run, or go on on a GPU with more memory ({last})"
    )


def smaller_batches(options: SearchConfig) -> str:
    """Say how scoring takes less memory."""
    return (
        f"search.evaluation_batch is {options.evaluation_batch} and search.recalibration_batch "
        f"{options.recalibration_batch}: set --search.evaluation_batch "
        f"{max(1, options.evaluation_batch // 2)} or --search.recalibration_batch "
        f"{max(2, options.recalibration_batch // 2)} in another --run"
    )
