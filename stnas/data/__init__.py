"""Load labelled images into memory and make augmented batches of them."""

from stnas.data.batches import epoch_order, eval_batch, normalise, train_batch
from stnas.data.dataset import Dataset, Split
from stnas.data.loading import load

__all__ = [
    "Dataset",
    "Split",
    "epoch_order",
    "eval_batch",
    "load",
    "normalise",
    "train_batch",
]
