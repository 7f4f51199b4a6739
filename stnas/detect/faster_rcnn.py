"""A found network under torchvision's Faster R-CNN with a feature pyramid (Lin et al. 2017)."""

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from stnas.classifier import Classifier, Preprocessing
from stnas.classifier.backbone import Features, begun
from stnas.detect.installed import check_installed, part_of
from stnas.space import SearchSpace
from stnas.store.names import DETECTOR
from stnas.store.tensors import load_tensors_, read_tensors
from stnas.supernet import Network

DETECTION = "torchvision.models.detection"
FINEST = 4
"""Times that the finest map of a pyramid is smaller than the image, as in Lin et al."""
ANCHOR = 8
"""Pixels a side of an anchor, for every pixel that its map's pixels stand for."""
RATIOS = (0.5, 1.0, 2.0)
POOLED = 7


class Pyramid(nn.Module):
    """Feature maps of a network, from one quarter of the image on, as a pyramid of ``channels``."""

    def __init__(self, body: Features, channels: int) -> None:
        super().__init__()
        self.body = body
        widths, shares = body.feature_info.channels(), body.feature_info.reduction()
        coarse = [place for place, share in enumerate(shares) if share >= FINEST]
        self.levels = coarse if len(coarse) > 1 else list(range(len(shares)))[-2:]
        pool = part_of("torchvision.ops.feature_pyramid_network.LastLevelMaxPool")()
        make = part_of("torchvision.ops.FeaturePyramidNetwork")
        self.fpn = make([widths[level] for level in self.levels], channels, extra_blocks=pool)
        self.out_channels = channels
        self.strides = [shares[level] for level in self.levels]

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map images ``[N, C, H, W]`` to maps ``[N, channels, ...]``, the finest first."""
        maps = self.body(x)
        named = OrderedDict((str(n), maps[level]) for n, level in enumerate(self.levels))
        found: dict[str, Tensor] = self.fpn(named)
        return found


def detector(
    path: str | Path,
    classes: int,
    *,
    weights: str = "trained",
    width: float = 1,
    size: int = 800,
    max_size: int = 1333,
    channels: int = 256,
    head_width: int = 1024,
    proposals: int = 1000,
    regions: int = 512,
) -> Any:
    """Build torchvision's Faster R-CNN on a network's feature maps, to be trained.

    path: what ``stnas.load`` takes. classes: kinds of objects, the background not counted.
    weights: ``trained``, or ``fresh`` ones from torch's global generator. width: the network's
    channels scaled by this factor, as ``stnas.backbone`` has it. size, max_size: pixels that the
    shorter side is scaled to, and of the longer one at most. channels: of the pyramid.
    head_width: of the linear layers that judge a region; proposals, regions: how many of an image
    are judged in use and in a training step. Images are ``[C, H, W]`` of 0 to 1, with the channels
    of the network's own; it normalises them as the network's were.
    """
    check_installed()
    made = begun(path, width=width, trained=weights == "trained")
    options = {"size": size, "max_size": max_size, "channels": channels, "regions": regions}
    return assembled(made, classes, {**options, "head_width": head_width, "proposals": proposals})


def assembled(made: Classifier, classes: int, options: Mapping[str, int]) -> Any:
    """Put a detector together on a classifier's network."""
    pyramid = Pyramid(Features(made), options["channels"])
    sides = [ANCHOR * stride for stride in (*pyramid.strides, 2 * pyramid.strides[-1])]
    names = [str(number) for number in range(len(pyramid.levels))]
    width = options["head_width"]
    flat = options["channels"] * POOLED**2
    most = options["proposals"]
    return part_of(f"{DETECTION}.FasterRCNN")(
        pyramid,
        min_size=options["size"],
        max_size=options["max_size"],
        image_mean=list(made.preprocess.mean),
        image_std=list(made.preprocess.std),
        rpn_anchor_generator=part_of(f"{DETECTION}.anchor_utils.AnchorGenerator")(
            tuple((side,) for side in sides), (RATIOS,) * len(sides)
        ),
        rpn_pre_nms_top_n_train=2 * most,
        rpn_post_nms_top_n_train=2 * most,
        rpn_pre_nms_top_n_test=most,
        rpn_post_nms_top_n_test=most,
        box_roi_pool=part_of("torchvision.ops.MultiScaleRoIAlign")(names, POOLED, 2),
        box_head=part_of(f"{DETECTION}.faster_rcnn.TwoMLPHead")(flat, width),
        box_predictor=part_of(f"{DETECTION}.faster_rcnn.FastRCNNPredictor")(width, classes + 1),
        box_batch_size_per_image=options["regions"],
    )


def load_detector(folder: str | Path) -> Any:
    """Load a detector that ``stnas detect`` trained, in evaluation mode.

    folder: ``RUN/detect/A``. It is torchvision's ``FasterRCNN``: a list of images ``[C, H, W]`` of
    0 to 1 gives ``boxes``, ``labels`` (from 1 on) and ``scores`` each; ``classes`` are their names.
    """
    check_installed()
    file = Path(folder).expanduser() / DETECTOR
    if not file.exists():
        raise FileNotFoundError(
            f"folder must be one that `stnas detect` left, such as RUN/detect/A, got {folder}, "
            f"which has no {DETECTOR}: correct it"
        )
    tensors, known = read_tensors(file)
    space = SearchSpace.from_json(known["space"])
    network = Network.build(space, space.parse(known["genotype"]))
    preprocess = Preprocessing.from_json(known["preprocessing"])
    classifier = Classifier(network, preprocess, {"classes": known["classes"]})
    made = assembled(classifier, len(known["classes"]), known["options"])
    load_tensors_(made, tensors, file)
    made.classes = tuple(known["classes"])
    return made.eval()
