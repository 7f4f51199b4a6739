"""Train one network from scratch under a recipe whose every factor can be changed alone."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from stnas.data import Dataset, Split, epoch_order, eval_batch
from stnas.group.streams import derive, global_stream, torch_generator
from stnas.ops.images import Places, crop_mirror_normalise
from stnas.space import Genotypes, SearchSpace

DRAWN, DRAWS = 4096, 300


@dataclass(frozen=True)
class Recipe:
    """SGD with Nesterov's momentum 0.9, a linear warm-up and a cosine to 0.

    crop: one window for each ``image``, one for a ``batch``. The defaults are the recipe
    ``quickstart``.
    """

    epochs: int = 15
    batch: int = 64
    learning_rate: float = 0.1
    warmup: float = 1.0
    weight_decay: float = 1e-4
    dropout: float = 0.2
    crop: str = "image"
    padding: int = 1


def training_batch(
    dataset: Dataset, split: Split, rows: Tensor, recipe: Recipe, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Cut, mirror and normalise the images of some rows."""
    count, most = len(rows), 2 * recipe.padding + 1
    drawn = count if recipe.crop == "image" else 1
    offsets = torch.randint(0, most, (2, drawn), generator=generator).expand(2, count).contiguous()
    mirrored = torch.rand(count, generator=generator) < 0.5
    places = Places(offsets, mirrored, recipe.padding)
    images = crop_mirror_normalise(split.images, rows, places, mean=dataset.mean, std=dataset.std)
    return images, split.labels[rows]


def rate(recipe: Recipe, step: int, steps: int) -> float:
    """Return the rate of a step; steps: those of an epoch."""
    warmup = round(recipe.warmup * steps)
    if step < warmup:
        return recipe.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(1, recipe.epochs * steps - warmup)
    return recipe.learning_rate * (1 + math.cos(math.pi * done)) / 2


@torch.no_grad()
def tested(network: nn.Module, split: Split, dataset: Dataset) -> tuple[float, float]:
    """Return accuracy and mean loss on a split."""
    network.eval()
    right, loss = 0, 0.0
    for start in range(0, len(split), 500):
        stop = min(start + 500, len(split))
        images, labels = eval_batch(split, start, stop, mean=dataset.mean, std=dataset.std)
        logits = network(images)
        right += int((logits.argmax(1) == labels).sum())
        loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
    return right / len(split), loss / len(split)


def trained(
    network: nn.Module,
    dataset: Dataset,
    split: Split,
    recipe: Recipe,
    *,
    seed: int,
    tests: Mapping[str, Split],
) -> dict[str, float]:
    """Train on a split; return the last epoch's loss, and accuracy and loss on every test."""
    for layer in network.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = recipe.dropout
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=0.9,
        nesterov=True,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
    steps = len(split) // recipe.batch
    losses: list[float] = []
    network.train()
    for epoch in range(recipe.epochs):
        order = epoch_order(len(split), seed=derive(seed, "order"), epoch=epoch)
        for i in range(steps):
            step = epoch * steps + i
            rows = order[i * recipe.batch : (i + 1) * recipe.batch]
            generator = torch_generator(seed, "augment", step)
            images, labels = training_batch(dataset, split, rows, recipe, generator)
            with global_stream(seed, "dropout", step):
                logits = network(images)
            loss = functional.cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            for group in optimizer.param_groups:
                group["lr"] = rate(recipe, step, steps)
            optimizer.step()
            losses.append(loss.item())
    found = {"train_loss": float(np.mean(losses[-steps:]))}
    for name, images_of in tests.items():
        found[f"{name}_accuracy"], found[f"{name}_loss"] = tested(network, images_of, dataset)
    return found


def of_size(space: SearchSpace, madds: int, count: int, *, seed: int) -> Genotypes:
    """Draw different networks whose multiply-adds lie within 2 % of a size ``[count, genes]``."""
    p_drop, found = space.nearest_p_drop(madds), dict[str, Genotypes]()
    for i in range(DRAWS):
        drawn = space.sample(DRAWN, p_drop=p_drop, seed=derive(seed, "near", i))
        drawn = drawn[np.abs(space.madds(drawn) / madds - 1) <= 0.02]
        for key, row in zip(space.canonical(drawn).tolist(), drawn, strict=True):
            found.setdefault(key, row)
        if len(found) >= count:
            break
    return np.stack(list(found.values())[:count])


class Separable(nn.Sequential):
    """A plain hand-made network: a stem, then depthwise 3x3 and pointwise convolutions.

    widths: channels of three stages, of one, two and two pairs; the later two begin with stride 2.
    """

    def __init__(self, in_channels: int, widths: tuple[int, int, int], classes: int) -> None:
        """Draw the weights from torch's global generator."""
        layers = [*unit(in_channels, widths[0], kernel=3, stride=2)]
        channels = widths[0]
        for stage, (width, pairs) in enumerate(zip(widths, (1, 2, 2), strict=True)):
            for i in range(pairs):
                stride = 2 if i == 0 and stage > 0 else 1
                layers += unit(channels, channels, kernel=3, stride=stride, groups=channels)
                layers += unit(channels, width, kernel=1)
                channels = width
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(channels, classes)]
        super().__init__(*layers, *head)


def unit(
    channels: int, out: int, *, kernel: int, stride: int = 1, groups: int = 1
) -> tuple[nn.Module, ...]:
    """Return a convolution, BN and ReLU6."""
    convolution = nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return convolution, nn.BatchNorm2d(out), nn.ReLU6()
