"""Training of a detector: SGD, a warm-up, two falls of the rate, a state after every epoch."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD

from stnas.config.detect import DetectOptions
from stnas.detect.coco import Boxes, Target
from stnas.group.streams import global_stream, torch_generator
from stnas.store.names import STATE
from stnas.store.tensors import load_tensors_, read_tensors, write_tensors

MOMENTUM = 0.9
WARMUP = 500
"""Steps that the rate rises over, and no more than the first epoch has."""
FIRST = 1e-3
"""Share of the rate that the first step has."""
FALLS = (2 / 3, 8 / 9)
"""Shares of the training after which the rate falls to a tenth (He et al.'s 1x schedule)."""
Say = Callable[[str], None]


def rate(options: DetectOptions, step: int, *, steps: int) -> float:
    """Return the learning rate of a step; steps: of an epoch."""
    warmup = min(WARMUP, steps)
    rise = FIRST + (1 - FIRST) * min(1.0, step / warmup)
    falls = sum(step >= share * options.epochs * steps for share in FALLS)
    return float(options.learning_rate * rise * 0.1**falls)


def mirrored(image: Tensor, target: Target) -> tuple[Tensor, Target]:
    """Mirror an image ``[C, H, W]`` left to right, and its boxes."""
    boxes, width = target["boxes"].clone(), image.shape[2]
    boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
    return image.flip(2), {**target, "boxes": boxes}


class Training:
    """The training of one detector: images, weights, momentum, and where its state is kept.

    Order, mirroring and torchvision's draws of an epoch are functions of (seed, epoch), so that a
    training that goes on after an epoch ends as one that was not stopped.
    """

    def __init__(
        self,
        model: Any,
        images: Boxes,
        options: DetectOptions,
        *,
        seed: int,
        folder: Path,
        origin: str,
    ) -> None:
        self.model, self.images, self.options, self.seed = model, images, options, seed
        self.state, self.origin = folder / STATE, origin
        self.weights = [own for own in model.parameters() if own.requires_grad]
        self.optimiser = SGD(
            self.weights, options.learning_rate, MOMENTUM, weight_decay=options.weight_decay
        )
        self.losses: list[float] = []
        self.seconds = 0.0
        self.place = self.weights[0].device
        self.channels = len(model.transform.image_mean)

    def run(self, say: Say) -> None:
        """Train to the end, from the last state on where there is one."""
        self.resume(say)
        self.model.train()
        for epoch in range(len(self.losses), self.options.epochs):
            begin = time.perf_counter()
            with global_stream(self.seed, "detect", epoch):
                self.losses.append(self.epoch(epoch))
            taken = time.perf_counter() - begin
            self.seconds += taken
            say(
                f"detect: epoch {epoch + 1}/{self.options.epochs}: loss {self.losses[-1]:.4f}, "
                f"{len(self.images) / taken:,.1f} images/s"
            )
            self.save()

    def epoch(self, epoch: int) -> float:
        """Take the steps of an epoch and return their mean loss."""
        order = torch_generator(self.seed, "detect", "order", epoch)
        rows = torch.randperm(len(self.images), generator=order)
        turned = torch.rand(len(rows), generator=order) < 0.5
        size = self.options.batch_size
        batches = list(zip(torch.split(rows, size), torch.split(turned, size), strict=True))
        losses = [
            self.step(epoch * len(batches) + number, len(batches), *batch)
            for number, batch in enumerate(batches)
        ]
        return math.fsum(losses) / len(losses)

    def step(self, step: int, steps: int, rows: Tensor, turned: Tensor) -> float:
        """Take a step on a batch and return its loss."""
        pairs = [
            self.example(row, turn)
            for row, turn in zip(rows.tolist(), turned.tolist(), strict=True)
        ]
        for group in self.optimiser.param_groups:
            group["lr"] = rate(self.options, step, steps=steps)
        found = self.model([image for image, _ in pairs], [target for _, target in pairs])
        loss = torch.stack(list(found.values())).sum()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise ArithmeticError(
                f"the loss of step {step} is not finite ({value}): lower --learning_rate, "
                f"{self.options.learning_rate}, or raise --batch_size"
            )
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return value

    def example(self, row: int, turned: bool) -> tuple[Tensor, Target]:
        """Read an image with its boxes, mirrored or not."""
        image, target = self.images.image(row, channels=self.channels), self.images.target(row)
        if turned:
            image, target = mirrored(image, target)
        return image.to(self.place), {name: own.to(self.place) for name, own in target.items()}

    def save(self) -> None:
        """Keep weights and momentum after an epoch."""
        tensors = {f"model.{name}": own for name, own in self.model.state_dict().items()}
        for number, own in enumerate(self.weights):
            tensors[f"momentum.{number}"] = self.optimiser.state[own]["momentum_buffer"]
        write_tensors(
            self.state, tensors, origin=self.origin, losses=self.losses, seconds=self.seconds
        )

    def resume(self, say: Say) -> None:
        """Go on from the state that there is; ValueError: it is of another training."""
        if not self.state.exists():
            return
        tensors, known = read_tensors(self.state)
        if known.get("origin") != self.origin:
            raise ValueError(
                f"{self.state} must be of this training, got one of other images, options or "
                "another network: delete it, or name another place with --output"
            )
        parts = {name: own for name, own in tensors.items() if name.startswith("model.")}
        own_weights = {name.removeprefix("model."): own for name, own in parts.items()}
        load_tensors_(self.model, own_weights, self.state)
        for number, own in enumerate(self.weights):
            buffer = tensors[f"momentum.{number}"].to(own.device)
            self.optimiser.state[own]["momentum_buffer"] = buffer
        self.losses, self.seconds = known["losses"], known["seconds"]
        say(f"detect: goes on after epoch {len(self.losses)}/{self.options.epochs}")
