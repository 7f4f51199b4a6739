"""Load labelled images, or stream them from their files, and make augmented batches of them."""

from stnas.data.batches import class_weights, epoch_order, epoch_rows, eval_batch, train_batch
from stnas.data.class_sizes import describe_split, unequal_classes
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
    "class_weights",
    "describe_split",
    "epoch_order",
    "epoch_rows",
    "eval_batch",
    "evaluation_requests",
    "load",
    "open_streamed",
    "part",
    "train_batch",
    "training_requests",
    "unequal_classes",
]
