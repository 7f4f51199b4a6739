"""The module whose graph is exported: scaling and normalisation on request, and the network."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from stnas.classifier import Classifier, Preprocessing


class Inside(NamedTuple):
    """What the graph does before the network: normalise pixels, or scale them first."""

    normalise: bool = False
    source_size: tuple[int, int] | None = None

    @property
    def takes_pixels(self) -> bool:
        """Tell whether the graph takes pixels of 0 to 255."""
        return self.normalise or self.source_size is not None


class Scaled(nn.Module):
    """Scale pixels ``[N, C, H, W]`` of one known size and cut out the centre square.

    Bilinear and antialiased, as ``Preprocessing`` does, but for its rounding to whole pixels. Two
    products ``rows @ pixels @ columns`` do it: not every runtime antialiases a resize.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, source: tuple[int, int], preprocess: Preprocessing) -> None:
        super().__init__()
        size, scale = preprocess.image_size, preprocess.resize / min(source)
        rows, columns = (shares(side, max(size, round(side * scale)), kept=size) for side in source)
        self.register_buffer("rows", rows)
        self.register_buffer("columns", columns.T.contiguous())

    def forward(self, pixels: Tensor) -> Tensor:
        """Return pixels ``[N, C, S, S]``."""
        return self.rows @ pixels @ self.columns


def shares(before: int, after: int, *, kept: int) -> Tensor:
    """Return the weights ``[kept, before]`` of a line's pixels in the middle ones of it scaled."""
    each = torch.eye(before)[None, None]
    if after != before:
        each = functional.interpolate(
            each, (after, before), mode="bilinear", antialias=True, align_corners=False
        )
    first = (after - kept) // 2
    return each[0, 0, first : first + kept].clone()


class Normalised(nn.Module):
    """Normalise pixels of 0 to 255: ``(pixels / 255 - mean) / std``."""

    factor: Tensor
    shift: Tensor

    def __init__(self, preprocess: Preprocessing) -> None:
        super().__init__()
        std = torch.tensor(preprocess.std)[:, None, None]
        mean = torch.tensor(preprocess.mean)[:, None, None]
        self.register_buffer("factor", 1 / (255 * std))
        self.register_buffer("shift", -mean / std)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return normalised images ``[N, C, H, W]``."""
        return pixels * self.factor + self.shift


def graph(classifier: Classifier, inside: Inside) -> nn.Module:
    """Put what the graph does in one module, in evaluation mode.

    classifier: of plain PyTorch operators. It maps float32 ``[N, C, H, W]`` to logits.
    """
    preprocess = classifier.preprocess
    before: list[nn.Module] = []
    if inside.source_size is not None:
        before.append(Scaled(inside.source_size, preprocess))
    if inside.takes_pixels:
        before.append(Normalised(preprocess))
    whole = nn.Sequential(*before, classifier.network) if before else classifier.network
    return whole.eval()


def sources(images: Tensor, preprocess: Preprocessing, inside: Inside) -> Tensor:
    """Turn normalised images ``[N, C, S, S]`` back into what such a graph takes, float32."""
    if not inside.takes_pixels:
        return images
    own = Normalised(preprocess)
    pixels = ((images - own.shift) / own.factor).round().clamp(0, 255)
    if inside.source_size is not None:
        return functional.interpolate(pixels, inside.source_size, mode="nearest")
    return pixels
