"""beta-DARTS (Ye et al. 2022): DARTS of first order with a penalty that keeps alpha small."""

from torch import Tensor

from stnas.data.epochs import Batch
from stnas.train.gradient.bilevel import Bilevel
from stnas.train.gradient.darts import FirstOrder


class Penalised(FirstOrder):
    """``L_val(w) + lambda mean_e logsumexp(alpha_e)``, lambda rising linearly with the epochs."""

    def gradient(self, bilevel: Bilevel, train: Batch, held: Batch, step: int) -> list[Tensor]:
        """Return the gradient of the loss and of the penalty, ``lambda softmax(alpha) / E``."""
        epochs = bilevel.config.train.epochs
        factor = bilevel.config.alpha.penalty * (step // bilevel.steps) / epochs
        loss, _ = bilevel.loss(held, self.shares(bilevel, step, "alpha"))
        return bilevel.gradients(loss + factor * penalty(bilevel.alpha))


def penalty(alpha: Tensor) -> Tensor:
    """Return ``mean_e logsumexp(alpha_e)`` of alpha ``[edges, choices]``."""
    return alpha.logsumexp(1).mean()
