"""The ``alpha:`` section: how a search by gradients moves the architecture parameters."""

from dataclasses import dataclass

from stnas.config import rules


@dataclass(frozen=True)
class AlphaConfig:
    """Options of the strategies that mix candidates (docs/toponas.md): alpha moves by Adam."""

    learning_rate: float = 3e-4
    """Learning rate of alpha, constant; betas are 0.5 and 0.999."""
    weight_decay: float = 1e-3
    """Factor of the L2 term of alpha."""
    largest_gradient: float = 5.0
    """Norm that the gradient of the shared weights is cut to."""
    nesterov: bool = False
    """Whether the momentum of the shared weights is Nesterov's."""
    tau: float = 10.0
    """Temperature of the first step in gdas."""
    final_tau: float = 0.1
    """Temperature that it falls to, linearly."""
    penalty: float = 50.0
    """Factor of the penalty on alpha in the last epoch of betadarts, to which it rises linearly."""
    parts: int = 4
    """Parts of the channels, of which the operations get the first in pcdarts."""
    start: float = 0.0
    """Share of the epochs in which alpha rests, the first ones."""

    def __post_init__(self) -> None:
        """Check the section."""
        rules.positive("alpha.learning_rate", self.learning_rate)
        rules.not_negative("alpha.weight_decay", self.weight_decay)
        rules.positive("alpha.largest_gradient", self.largest_gradient)
        rules.positive("alpha.tau", self.tau)
        rules.positive("alpha.final_tau", self.final_tau)
        if self.final_tau > self.tau:
            raise ValueError(
                f"alpha.final_tau must be at most alpha.tau = {self.tau}, got {self.final_tau}: "
                "the temperature falls; exchange them"
            )
        rules.not_negative("alpha.penalty", self.penalty)
        rules.at_least("alpha.parts", self.parts, 2)
        rules.require(0 <= self.start < 1, "alpha.start", "in [0, 1)", self.start)
