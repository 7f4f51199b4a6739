"""What ``stnas evaluate`` and ``stnas predict`` do."""

from dataclasses import dataclass
from typing import Literal, get_args

from stnas.config import rules

Part = Literal["test", "validation", "train"]
Answers = Literal["table", "csv", "json"]


@dataclass(frozen=True)
class EvaluateOptions:
    """Which network is evaluated, on which images."""

    network: str = ""
    """Folder of a network (RUN/retrain/A), a run, or a file of `stnas export --to safetensors`; may
    stand without its option. `--data.path` takes other images of the same classes."""
    part: Part = "test"
    """Images of the data set that are classified: `test`, `validation` (held out of the search) or
    `train`."""
    worst: int = 24
    """Images with the greatest loss that the page shows."""
    output: str | None = None
    """Folder for the page and the figures; default: RUN/evaluate/NAME, or NAME-evaluation beside an
    exported file."""

    def __post_init__(self) -> None:
        """Check the options."""
        rules.one_of("part", self.part, get_args(Part))
        rules.at_least("worst", self.worst, 0)


@dataclass(frozen=True)
class PredictOptions:
    """Which files are classified by which network."""

    network: str = ""
    """Folder of a network (RUN/retrain/A), a run, or a file of `stnas export --to safetensors`; the
    first word that stands without an option."""
    files: tuple[str, ...] = ()
    """Image files, or folders of them; the other words that stand without an option."""
    top: int = 3
    """Classes that are told for an image, the likeliest first."""
    answer: Answers = "table"
    """What is printed: a `table`, `csv` or `json`."""

    def __post_init__(self) -> None:
        """Check the options."""
        rules.at_least("top", self.top, 1)
        rules.one_of("answer", self.answer, get_args(Answers))
        if not self.files:
            raise ValueError(
                "files must be one image or more, got none: name them behind the network, as in "
                f"stnas predict {self.network} photo.jpg"
            )
