"""An ordinary module that knows its classes and how its images are prepared."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from stnas.classifier.preprocessing import Preprocessing
from stnas.supernet import Network

BATCH = 64


class Prediction(NamedTuple):
    """What an image shows: the likeliest class, its probability, and those of all classes."""

    name: str
    probability: float
    probabilities: dict[str, float]

    def best(self, count: int) -> list[tuple[str, float]]:
        """List the likeliest classes with their probabilities, the likeliest first."""
        ranked = sorted(self.probabilities.items(), key=lambda pair: -pair[1])
        return ranked[:count]


class Classifier(nn.Module):
    """A trained network with its classes, its preprocessing and what is known of it.

    description: as ``network.json`` holds it. It maps what ``preprocess`` gives to logits
    ``[N, classes]``.
    """

    def __init__(
        self, network: Network, preprocess: Preprocessing, description: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self.network = network
        self.preprocess = preprocess
        self.description = dict(description)
        self.classes: tuple[str, ...] = tuple(description["classes"])

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images ``[N, C, H, W]`` to logits ``[N, classes]``."""
        logits: Tensor = self.network(x)
        return logits

    def predict(self, images: object) -> list[Prediction]:
        """Classify one image or several; ``preprocess`` says what they may be.

        The module is in evaluation mode meanwhile.
        """
        return [
            Prediction(self.classes[int(row.argmax())], float(row.max()), self._named(row))
            for row in self.probabilities(images)
        ]

    def probabilities(self, images: object) -> Tensor:
        """Return the probabilities ``[N, classes]`` of one image or several."""
        prepared = self.preprocess(images)
        place = next(self.parameters())
        training = self.training
        self.eval()
        with torch.no_grad():
            parts = [self(part.to(place)).softmax(1) for part in torch.split(prepared, BATCH)]
        self.train(training)
        return torch.cat(parts).cpu()

    def _named(self, row: Tensor) -> dict[str, float]:
        return dict(zip(self.classes, row.tolist(), strict=True))

    def facts(self) -> Iterator[tuple[str, str]]:
        """List what is known of the network, as pairs of texts."""
        known = self.description
        yield "genotype", str(known["genotype"])
        yield "MAdds", f"{known['madds']:,}"
        yield "parameters", f"{known['params']:,}"
        yield "test accuracy", f"{100 * known['test_accuracy']:.2f} %"
        shape = self.preprocess
        yield "image", f"{shape.in_channels} x {shape.image_size} x {shape.image_size}"
        yield "classes", ", ".join(self.classes)
