"""Parts of cells that keep the number of channels."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Even:
    """A part between maps of ``channels`` channels."""

    channels: int

    @property
    def in_channels(self) -> int:
        """Return the channels."""
        return self.channels

    @property
    def out_channels(self) -> int:
        """Return the channels."""
        return self.channels
