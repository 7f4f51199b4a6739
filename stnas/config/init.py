"""What ``stnas init`` looks at, and where it writes what it proposes."""

from dataclasses import dataclass

from stnas.config import rules


@dataclass(frozen=True)
class InitOptions:
    """Which images are looked at, and how."""

    images: str = ""
    """Folder with a folder of images for each class, or any other `data.path`; may stand without
    its option."""
    output: str | None = None
    """File for the configuration; default: the folder's name with .yaml, in the working
    directory."""
    overwrite: bool = False
    """Whether a file that is there already is replaced."""
    run: str | None = None
    """Run folder that the configuration names; default: runs/NAME after the folder."""
    image_size: int | None = None
    """Pixels a side that the rest is proposed for; default: a size that fits the images."""
    seconds: float = 2.0
    """Seconds of training that are measured to estimate the time of a run; 0: none."""

    def __post_init__(self) -> None:
        """Check the options."""
        rules.not_negative("seconds", self.seconds)
        if self.image_size is not None:
            rules.require(
                4 <= self.image_size <= 1024, "image_size", "in [4, 1024]", self.image_size
            )
