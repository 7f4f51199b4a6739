"""The ``sharing:`` section: what candidate operations of an edge compute together."""

from dataclasses import dataclass
from typing import Literal, get_args

from stnas.config import rules

Level = Literal["none", "prefix", "suffix", "merge", "float"]
KernelNorm = Literal["l2", "none"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""In order: a level does what those before it do."""


@dataclass(frozen=True)
class SharingConfig:
    """Modules that the candidates of a mixed edge share (docs/toponas.md)."""

    level: Level = "none"
    """`none`; `prefix`: first modules without weights are computed once a node; `suffix`:
    candidates that are alike but for their kernels are mixed in front of what they have in common;
    `merge`: their kernels become one; `float`: in the family darts, separable and dilated
    convolutions end in one 1x1 convolution, too. Each does what those before it do."""
    kernel_norm: KernelNorm | None = None
    """Whether the kernels of a shared group are divided by their norm, `l2`, or not, `none`.
    Default: `l2` from the level suffix on."""

    def __post_init__(self) -> None:
        """Check the section."""
        rules.one_of("sharing.level", self.level, LEVELS)
        if self.kernel_norm is not None:
            rules.one_of("sharing.kernel_norm", self.kernel_norm, get_args(KernelNorm))
        if self.kernel_norm == "l2" and LEVELS.index(self.level) < 2:
            raise ValueError(
                f"sharing.kernel_norm must be none with sharing.level {self.level}, where no "
                "kernels are mixed, got 'l2': leave it out, or set --sharing.level suffix"
            )

    @property
    def normalises(self) -> bool:
        """Tell whether the kernels of a shared group are divided by their norm."""
        return LEVELS.index(self.level) >= 2 and self.kernel_norm != "none"
