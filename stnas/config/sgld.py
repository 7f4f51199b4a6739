"""Sampling of the shared weights."""

from dataclasses import dataclass
from typing import Literal

from stnas.config import rules

NoiseMode = Literal["posterior", "relative", "literal", "none"]


@dataclass(frozen=True)
class SgldConfig:
    """How samples of the shared weights are drawn (paper, Algorithm 2 and eq. 9)."""

    mode: NoiseMode = "posterior"
    """Size of the noise: `posterior` sqrt(2 a T / N), `relative` rho * rms(w) an epoch, `literal`
    sqrt(2 a) as printed in the paper (destroys the network), `none` (plain averaging, SWA)."""
    samples: int = 20
    """Samples K; the first is the trained weights, each other follows an epoch later."""
    learning_rate: float = 2.5e-4
    """Step size a, constant."""
    weight_decay: float = 1e-4
    """Factor of the L2 term, applied to the activated tensors alone."""
    temperature: float = 1.0
    """Temperature T of the posterior in mode `posterior`."""
    rho: float = 0.01
    """Noise of an epoch over the root mean square of a tensor, in mode `relative`."""

    def __post_init__(self) -> None:
        """Check the section."""
        rules.at_least("sgld.samples", self.samples, 1)
        rules.positive("sgld.learning_rate", self.learning_rate)
        rules.not_negative("sgld.weight_decay", self.weight_decay)
        rules.not_negative("sgld.temperature", self.temperature)
        rules.not_negative("sgld.rho", self.rho)
