"""What ``stnas detect`` trains."""

from dataclasses import dataclass
from typing import Literal, get_args

from stnas.config import rules

Weights = Literal["trained", "fresh"]


@dataclass(frozen=True)
class DetectOptions:
    """Which network a detector is built on, and how it is trained; the defaults are COCO's."""

    network: str = ""
    """Folder of a network (RUN/retrain/A), a run, or a file of `stnas export --to safetensors`; may
    stand without its option."""
    coco: str = ""
    """Folder of images with boxes, laid out as COCO: annotations/instances_train*.json and
    instances_val*.json, and a folder of images for each, named as they end (train2017)."""
    weights: Weights = "trained"
    """Weights that the backbone begins with: those of the `trained` network, or `fresh` ones."""
    width: float = 1.0
    """Factor of the backbone's channels; for other trained weights than those of 1, train them
    first: `stnas retrain --run RUN --retrain.widths [1.5]`."""
    epochs: int = 13
    """Passes over the training images; the learning rate falls to a tenth after two thirds of them,
    and once more after eight ninths."""
    batch_size: int = 16
    """Images of a step."""
    learning_rate: float = 0.02
    """Learning rate of SGD with momentum 0.9 after its warm-up; 0.02 belongs to 16 images."""
    weight_decay: float = 1e-4
    """L2 penalty of all weights."""
    size: int = 800
    """Pixels that the shorter side of an image is scaled to."""
    max_size: int = 1333
    """Pixels that the longer side may have at most, which scales an image further down."""
    channels: int = 256
    """Channels of the feature pyramid."""
    head_width: int = 1024
    """Width of the two linear layers that judge a region."""
    proposals: int = 1000
    """Regions of an image that are judged; in training up to twice as many are drawn from."""
    regions: int = 512
    """Regions of an image that a training step judges."""
    output: str | None = None
    """Folder for the detector and its figures; default: RUN/detect/NAME, or NAME-detection beside
    an exported file."""

    def __post_init__(self) -> None:
        """Check the options."""
        rules.one_of("weights", self.weights, get_args(Weights))
        for name in ("epochs", "batch_size", "channels", "head_width", "proposals", "regions"):
            rules.at_least(name, getattr(self, name), 1)
        rules.width("width", self.width)
        rules.at_least("size", self.size, 32)
        rules.at_least("max_size", self.max_size, self.size)
        rules.positive("learning_rate", self.learning_rate)
        rules.not_negative("weight_decay", self.weight_decay)
        if not self.coco:
            raise ValueError(
                "coco must be a folder with annotations/instances_train*.json, got none: name one, "
                f"as in stnas detect {self.network} --coco FOLDER"
            )
