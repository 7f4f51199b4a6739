"""Train one network from scratch under a recipe whose every factor can be changed alone."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from stnas.data import Dataset, Split, epoch_order, eval_batch
from stnas.group.streams import derive, global_stream, torch_generator
from stnas.ops.images import Places, crop_mirror_normalise
from stnas.space import Genotypes, SearchSpace

DRAWN, DRAWS = 4096, 300


@dataclass(frozen=True)
class Recipe:
    """SGD with Nesterov's momentum 0.9, a linear warm-up and a cosine to 0.

    crop: one window for each ``image``, one for a ``batch``. schedule: ``cosine``, ``linear``, or
    ``one cycle``, whose rate rises for three tenths of the steps. smoothing: of the labels. mixup:
    both parameters of the Beta distribution that the share of the other image is drawn from.
    augment: torchvision's TrivialAugmentWide on every image, ``trivial``. averages: decays of
    moving averages of the weights, judged beside the weights themselves.
    """

    epochs: int = 15
    batch: int = 64
    learning_rate: float = 0.1
    warmup: float = 1.0
    weight_decay: float = 1e-4
    dropout: float = 0.2
    crop: str = "image"
    padding: int = 1
    schedule: str = "cosine"
    smoothing: float = 0.0
    mixup: float = 0.0
    augment: str = "none"
    averages: tuple[float, ...] = ()


def training_batch(
    dataset: Dataset, split: Split, rows: Tensor, recipe: Recipe, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Cut, mirror and normalise the images of some rows."""
    count, most = len(rows), 2 * recipe.padding + 1
    drawn = count if recipe.crop == "image" else 1
    offsets = torch.randint(0, most, (2, drawn), generator=generator).expand(2, count).contiguous()
    mirrored = torch.rand(count, generator=generator) < 0.5
    places = Places(offsets, mirrored, recipe.padding)
    pixels, labels = split.images, split.labels[rows]
    if recipe.augment == "trivial":
        pixels, rows = trivially_augmented(pixels[rows], generator), torch.arange(count)
    return crop_mirror_normalise(pixels, rows, places, mean=dataset.mean, std=dataset.std), labels


def trivially_augmented(images: Tensor, generator: torch.Generator) -> Tensor:
    """Change every image by one operation of a random strength (Mueller and Hutter 2021)."""
    v2 = import_module("torchvision.transforms.v2")
    change = v2.TrivialAugmentWide(interpolation=v2.InterpolationMode.BILINEAR)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        return torch.stack([change(image) for image in images])


def rate(recipe: Recipe, step: int, steps: int) -> float:
    """Return the rate of a step; steps: those of an epoch."""
    cycle = 0.3 * recipe.epochs * steps
    warmup = round(cycle if recipe.schedule == "one cycle" else recipe.warmup * steps)
    if step < warmup:
        return recipe.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(1, recipe.epochs * steps - warmup)
    if recipe.schedule == "linear":
        return recipe.learning_rate * (1 - done)
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
    """Train on a split; return the last epoch's loss, and accuracy and loss on every test.

    Those of a moving average of the weights have its decay in front of their names.
    """
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
    averages = {decay: averaged(network, decay) for decay in recipe.averages}
    network.train()
    for epoch in range(recipe.epochs):
        order = epoch_order(len(split), seed=derive(seed, "order"), epoch=epoch)
        for i in range(steps):
            step = epoch * steps + i
            rows = order[i * recipe.batch : (i + 1) * recipe.batch]
            generator = torch_generator(seed, "augment", step)
            images, labels = training_batch(dataset, split, rows, recipe, generator)
            with global_stream(seed, "dropout", step):
                loss = mixed_loss(network, images, labels, recipe)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            for group in optimizer.param_groups:
                group["lr"] = rate(recipe, step, steps)
            optimizer.step()
            for average in averages.values():
                average.update_parameters(network)
            losses.append(loss.item())
    found = {"train_loss": float(np.mean(losses[-steps:]))}
    for name, images_of in tests.items():
        for mark, own in {"": network, **{f"{d:g} ": a for d, a in averages.items()}}.items():
            right, loss_of = tested(own, images_of, dataset)
            found |= {f"{mark}{name}_accuracy": right, f"{mark}{name}_loss": loss_of}
    return found


def averaged(network: nn.Module, decay: float) -> AveragedModel:
    """Begin a moving average of weights and statistics."""
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


def mixed_loss(network: nn.Module, images: Tensor, labels: Tensor, recipe: Recipe) -> Tensor:
    """Return the loss of a batch, each image of which may be mixed with another (Zhang 2018)."""
    entropy = partial(functional.cross_entropy, label_smoothing=recipe.smoothing)
    if recipe.mixup == 0:
        return entropy(network(images), labels)
    own = torch._sample_dirichlet(torch.full((2,), recipe.mixup))[0]
    logits = network(torch.lerp(images.flip(0), images, own))
    return own * entropy(logits, labels) + (1 - own) * entropy(logits, labels.flip(0))


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
