"""What ``stnas export`` writes."""

from dataclasses import dataclass
from typing import Literal, get_args

from stnas.config import rules

Form = Literal["safetensors", "onnx", "torch-export", "openvino"]


@dataclass(frozen=True)
class ExportOptions:
    """Which network is exported, in which form."""

    network: str = ""
    """Folder of a network (RUN/retrain/A), or of a run, for all of its chosen ones; may stand
    without its option."""
    to: Form = "onnx"
    """Form of the file: `safetensors` (for `stnas.load`), `onnx`, `torch-export` (a .pt2 file) or
    `openvino`."""
    output: str | None = None
    """Folder for the files of one network; default: RUN/export/NAME."""
    width: float = 1.0
    """Factor of the channels: the network that `stnas retrain --retrain.widths [1.5]` has trained
    with them scaled."""
    normalise: bool = False
    """Whether the graph takes pixels of 0 to 255 and normalises them itself."""
    source_size: tuple[int, int] | None = None
    """Height and width of the pixels that the graph takes, scales and cuts itself, and then
    normalises; default: it takes images that are scaled already."""
    int8: bool = False
    """Whether the network is quantised, too, with ranges that training images give: `onnx` alone.
    The accuracies before and after are printed."""
    calibration: int = 512
    """Training images that give the ranges of `int8`."""
    images: int = 256
    """Test images on which the file's outputs are compared with the network's."""
    license: str = "unknown"
    """Licence of the weights, for the model card."""
    data_license: str = "unknown"
    """Licence of the images that they were trained on, for the model card."""

    def __post_init__(self) -> None:
        """Check the options."""
        rules.one_of("to", self.to, get_args(Form))
        rules.width("width", self.width)
        rules.at_least("images", self.images, 1)
        rules.at_least("calibration", self.calibration, 1)
        if self.int8 and self.to != "onnx":
            raise ValueError(f"int8 must come with --to onnx, got --to {self.to}: set --to onnx")
        if self.to == "safetensors" and (self.normalise or self.source_size):
            raise ValueError(
                "normalise and source_size must be left out with --to safetensors, which holds "
                "weights and no graph: stnas.load(FILE).preprocess does both"
            )
        if self.source_size and not all(4 <= side <= 8192 for side in self.source_size):
            raise ValueError(
                f"source_size must be a height and a width of 4 to 8192 pixels, got "
                f"{list(self.source_size)}: set --source_size [256,256]"
            )
