"""Object detection with a found network as the backbone."""

from stnas.detect.command import run
from stnas.detect.faster_rcnn import detector, load_detector

__all__ = ["detector", "load_detector", "run"]
