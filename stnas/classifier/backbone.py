"""A trained network as the backbone of another model, and its entry in timm's registry."""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from stnas.classifier.classifier import Classifier
from stnas.classifier.files import load
from stnas.config import rules
from stnas.data.trivial import lack
from stnas.space.families import widened
from stnas.supernet import Network


class FeatureInfo(NamedTuple):
    """What timm's callers ask of feature maps, the largest first."""

    widths: list[int]
    shares: list[int]

    def channels(self) -> list[int]:
        """Return the channels of every map."""
        return self.widths

    def reduction(self) -> list[int]:
        """Return how many times smaller than the image every map is."""
        return self.shares


class Features(nn.Module):
    """The feature maps of a network at the end of every resolution, the largest first."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.network = classifier.network
        space = self.network.space
        used = {0, *(arc.target for arc in self.network.arcs)}
        ends = {node.resolution: node for node in space.nodes if node.index in used}
        self.nodes = [node.index for node in ends.values()]
        self.feature_info = FeatureInfo(
            [node.width for node in ends.values()], reductions(space.head.image_size, ends)
        )
        del self.network.tail

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map images ``[N, C, H, W]`` to maps ``[N, channels, H / reduction, W / reduction]``."""
        values = self.network.node_values(x, set(self.nodes))
        return [values[node] for node in self.nodes]


def reductions(side: int, maps: Iterable[int]) -> list[int]:
    """Return the product of the strides before every map; maps: pixels a side, rounded up."""
    found, product = list[int](), 1
    for smaller in maps:
        product *= round(side / smaller)
        found.append(product)
        side = smaller
    return found


def backbone(
    path: str | Path,
    *,
    features_only: bool = False,
    num_classes: int | None = None,
    in_chans: int | None = None,
    width: float = 1,
    pretrained: bool = True,
) -> nn.Module:
    """Load a network for other images or another task: its weights, but for what must differ.

    features_only: the feature maps of every resolution in place of logits. num_classes: a fresh
    linear layer for so many classes; 0: the pooled features. in_chans: channels of the images;
    weights of the first layer are averaged over theirs and shared out, so that a grey image gives
    what it gave. width: its channels scaled by this factor; trained weights of these channels are
    what ``retrain.widths`` trains. pretrained: whether the weights are trained ones, or fresh ones,
    drawn from torch's global generator, for which every width will do. The result is in training
    mode, as timm's are.
    """
    made = begun(path, width=width, trained=pretrained)
    network: Any = made.network
    head = network.space.head
    if in_chans is not None and in_chans != head.in_channels:
        network.stem.convolution = other_channels(network.stem.convolution, in_chans)
    if features_only:
        return Features(made).train()
    if num_classes == 0:
        network.tail.classifier = nn.Identity()
    elif num_classes not in (None, head.num_classes):
        network.tail.classifier = nn.Linear(head.tail_width, num_classes)
    return made.network.train()


def begun(path: str | Path, *, width: float, trained: bool) -> Classifier:
    """Load a network, its channels scaled, with trained weights or with fresh ones.

    Fresh ones are drawn from torch's global generator.
    """
    if trained:
        return load(path, width=width)
    made = load(path)
    rules.width("width", width)
    own: Network = made.network
    made.network = Network.build(widened(own.space, width), own.genotype)
    return made


def other_channels(convolution: nn.Conv2d, channels: int) -> nn.Conv2d:
    """Return a convolution of another number of channels whose weights have the same sum."""
    if channels < 1:
        raise ValueError(f"in_chans must be 1 or more, got {channels}: 3 is colour")
    own: dict[str, Any] = {
        name: getattr(convolution, name) for name in ("kernel_size", "stride", "padding")
    }
    made = nn.Conv2d(channels, convolution.out_channels, bias=False, **own)
    with torch.no_grad():
        total = convolution.weight.sum(1, keepdim=True)
        made.weight.copy_((total / channels).expand_as(made.weight))
    return made


def register_timm() -> None:
    """Let ``timm.create_model("stnas", path=...)`` make networks; ImportError: it is missing."""
    try:
        registry = import_module("timm.models")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"stnas.register_timm needs timm, got none ({error}): pip install 'stnas[timm]'"
        ) from error
    except (ImportError, RuntimeError) as error:
        raise ImportError(
            f"stnas.register_timm needs timm, whose torchvision {lack(error)}"
        ) from error

    def stnas(pretrained: bool = False, *, path: str, **options: Any) -> nn.Module:
        """Make a network that stnas trained; path: what ``stnas.load`` takes."""
        known = ("features_only", "num_classes", "in_chans", "width")
        return backbone(path, **{name: options[name] for name in known if name in options})

    stnas.__module__ = __name__
    globals()["stnas"] = stnas
    registry.register_model(stnas)
