"""Load labelled images, or stream them from their files, and make augmented batches of them."""

from stnas.data.batches import epoch_order, eval_batch, train_batch
from stnas.data.dataset import Dataset, FileSplit, Split
from stnas.data.loading import load
from stnas.data.requests import evaluation_requests, part, training_requests
from stnas.data.scan import Scan
from stnas.data.streaming import batches, open_streamed

__all__ = [
    "Dataset",
    "FileSplit",
    "Scan",
    "Split",
    "batches",
    "epoch_order",
    "eval_batch",
    "evaluation_requests",
    "load",
    "open_streamed",
    "part",
    "train_batch",
    "training_requests",
]
