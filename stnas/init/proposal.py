"""Propose what a run on some images is to be like, each value with its reason."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from stnas.config import Config
from stnas.config.keys import build
from stnas.data.class_sizes import UNEQUAL
from stnas.data.dataset import MAX_BYTES
from stnas.data.proposal import MOST, proposed_size
from stnas.init.look import Findings, look
from stnas.space import AdditiveCost, SearchSpace

STEPS = 12_000
"""Steps that the hyper-network of the recipe takes on the embedded images, of 32 images each."""
LONG = (15, 200)
"""Fewest and most epochs of the hyper-network."""
ALONE = 2_800
"""Steps of a network alone there, of 64 images each."""
LONG_ALONE = (10, 120)
SMALL_IMAGE = 16
"""Pixels below which the first convolution keeps the size."""


class Proposal(NamedTuple):
    """A value of the configuration by its name, and why it is proposed."""

    name: str
    value: Any
    why: str


def proposed(recipe: Mapping[str, object], given: Mapping[str, object]) -> list[Proposal]:
    """Look at the images that ``data.path`` names and propose what nobody has given.

    recipe: values by name that proposals stand above. given: those that stand above proposals.
    """
    config: Config = build({**recipe, **given})
    with silence():
        found = look(config.data)
    return [own for own in proposals(found, recipe, given) if own.name not in given]


@contextmanager
def silence() -> Iterator[None]:
    """Leave unsaid what loading the same images will say."""
    logger = logging.getLogger("stnas")
    before = logger.handlers, logger.propagate
    logger.handlers, logger.propagate = [logging.NullHandler()], False
    try:
        yield
    finally:
        logger.handlers, logger.propagate = before


def proposals(
    found: Findings, recipe: Mapping[str, object], given: Mapping[str, object]
) -> list[Proposal]:
    """List the proposals for images, in the order of the configuration."""
    values = {**recipe, **given}
    size = wanted_size(found, given)
    held = float(str(values.get("data.validation", 0.1)))
    train = max(2, int(found.counts.sum() * (1 - held)))
    listed = [*of_data(found, size), *of_training(train)]
    if not any(name.startswith(("space.", "search.limit", "search.cost")) for name in given):
        listed += of_space(found, size, values)
    return listed


def wanted_size(found: Findings, given: Mapping[str, object]) -> int:
    """Return the pixels a side that are given, or that fit the images."""
    size = given.get("data.image_size")
    if isinstance(size, int):
        return size
    alike = bool((found.sizes == found.sizes[0, 0]).all())
    return (
        int(found.sizes[0, 0])
        if alike and found.sizes[0, 0] <= MOST
        else proposed_size(found.sizes)
    )


def of_data(found: Findings, size: int) -> Iterator[Proposal]:
    """Propose how the images are read and weighed."""
    shorter = found.sizes.min(axis=1)
    least, middle, most = (int(np.quantile(shorter, q, method="lower")) for q in (0, 0.5, 1))
    sides = f"{least}" if least == most else f"{least} to {most}, half of them {middle} or more"
    grows = "; more would cost more time than a processor has" if middle > size >= MOST else ""
    yield Proposal("data.image_size", size, f"the shorter sides have pixels: {sides}{grows}")
    count = int(found.counts.sum() + found.tested.sum())
    if count * size * size * (1 if found.grey else 3) > MAX_BYTES // 4 and found.files:
        yield Proposal("data.backend", "auto", "too many pixels to keep in memory")
    if found.broken:
        why = f"files that cannot be read: {len(found.broken)}; `refuse` would stop and list them"
        yield Proposal("data.broken", "skip", why)
    if found.unequal >= UNEQUAL:
        why = (
            f"the largest class has {found.unequal:.1f} times the images of the smallest: an epoch "
            "has equally many of each"
        )
        yield Proposal("data.balance", "resampling", why)
        for stage in ("search", "verdict"):
            why = "every class counts alike in what is compared"
            yield Proposal(f"{stage}.measure", "balanced_accuracy", why)


def of_training(train: int) -> Iterator[Proposal]:
    """Propose batches and epochs for so many images to train on."""
    batch = batch_size(train, 32)
    epochs = within(STEPS * batch / train, LONG)
    why = f"about {epochs * (train // batch):,} steps on {train:,} images"
    yield Proposal("train.batch_size", batch, "small batches suit one architecture a step")
    yield Proposal("train.epochs", epochs, why)
    alone = batch_size(train, 64)
    epochs = within(ALONE * alone / train, LONG_ALONE)
    yield Proposal("verdict.epochs", epochs, "the last rung is as long as a retraining")
    yield Proposal("retrain.batch_size", alone, "a batch of a network alone")
    why = f"about {epochs * (train // alone):,} steps for each network"
    yield Proposal("retrain.epochs", epochs, why)


def batch_size(images: int, usual: int) -> int:
    """Return the usual size, or a power of two of which ten batches fill an epoch; 4 or more."""
    size = usual
    while size > 4 and 10 * size > images:
        size //= 2
    return size


def within(value: float, ends: tuple[int, int]) -> int:
    """Round a number into an interval."""
    return min(max(round(value), ends[0]), ends[1])


def of_space(found: Findings, size: int, values: Mapping[str, object]) -> Iterator[Proposal]:
    """Propose the limits of multiply-adds that the recipe's shares mean for these images."""
    changed = dict(values)
    if size < SMALL_IMAGE:
        changed["space.stem_stride"] = 1
        yield Proposal("space.stem_stride", 1, "small images: the first convolution keeps the size")
    config: Config = build(changed)
    cost = SearchSpace.from_config(
        config.space,
        image_size=size,
        in_channels=1 if found.grey else 3,
        num_classes=len(found.classes),
    ).costs["madds"]
    shares = config.search.limit_shares
    if shares is None or not isinstance(cost, AdditiveCost):
        return
    limits = [
        int(float(f"{cost.least + share * (cost.most - cost.least):.2g}")) for share in shares
    ]
    why = (
        f"multiply-adds; networks of this space have {cost.least:,} to {cost.most:,}: one is "
        "chosen under each"
    )
    yield Proposal("search.limits", tuple(limits), why)
