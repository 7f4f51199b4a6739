"""Say how many images the classes of a data set have, and warn where they are unequal."""

from torch import Tensor

from stnas.config.data import DataConfig
from stnas.data.dataset import Dataset

UNEQUAL = 2
"""Times that the largest class is larger than the smallest where a warning is given."""


def describe_split(dataset: Dataset) -> str:
    """Say how the images are divided, with the smallest class of each part."""
    parts = (
        (dataset.train, "to train on"),
        (dataset.validation, "held out for the search"),
        (dataset.test, "to test with"),
    )
    return "images: " + ", ".join(
        f"{len(split):,} {words} ({_fewest(split.labels, dataset.classes)})"
        for split, words in parts
    )


def unequal_classes(dataset: Dataset, config: DataConfig) -> str | None:
    """Warn of unequal classes that nothing is done about, and say what can be; None: no reason."""
    counts = _counts(dataset.train.labels, dataset) + _counts(dataset.validation.labels, dataset)
    least, most = int(counts.argmin()), int(counts.argmax())
    if counts[most] < UNEQUAL * counts[least] or config.balance != "none":
        return None
    return (
        f"images: the classes are unequal, {counts[most]:,} of {dataset.classes[most]} and "
        f"{counts[least]:,} of {dataset.classes[least]}: accuracy can be high while small classes "
        "are never recognised, which the balanced accuracy and the recalls in network.json and in "
        "the report show; for a new run set --data.balance resampling (or weights) and "
        "--search.measure balanced_accuracy"
    )


def _counts(labels: Tensor, dataset: Dataset) -> Tensor:
    """Count the images of each class ``[K]``."""
    return labels.bincount(minlength=dataset.num_classes)


def _fewest(labels: Tensor, classes: tuple[str, ...]) -> str:
    """Name the smallest class with the number of its images."""
    counts = labels.bincount(minlength=len(classes))
    least = int(counts.argmin())
    return f"fewest: {counts[least]:,} of {classes[least]}"
