"""DARTS (Liu et al. 2019): all candidates are mixed; first and second order."""

import torch
from torch import Tensor

from stnas.data.epochs import Batch
from stnas.supernet.mixture import Shares, Soft
from stnas.train.gradient.bilevel import Bilevel

RADIUS = 0.01
"""Length of the step of the finite difference."""
TINY = 1e-30
"""Least length of u that is divided by: no device is asked whether it is 0."""


class FirstOrder:
    """``grad_alpha L_val(w)``."""

    weights_first = False
    weighs_edges = False

    def shares(self, bilevel: Bilevel, step: int, purpose: str) -> list[Shares]:
        """Mix all candidates; alpha itself rests while the weights move."""
        alpha = bilevel.alpha.detach() if purpose == "weights" else bilevel.alpha
        return list(Soft.of_rows(alpha))

    def gradient(self, bilevel: Bilevel, train: Batch, held: Batch, step: int) -> list[Tensor]:
        """Return the gradient of the loss on held-back images."""
        loss, _ = bilevel.loss(held, self.shares(bilevel, step, "alpha"))
        return bilevel.gradients(loss)


class SecondOrder(FirstOrder):
    """``grad_alpha L_val(w') - eta (grad_alpha L_train(w+) - grad_alpha L_train(w-)) / (2 r)``.

    ``w' = w - eta (mu v + grad_w L_train + decay w)``, ``w+- = w +- r u`` with ``u = grad_w'
    L_val(w')`` and ``r = 0.01 / ||u||`` (Liu et al. 2019, equations 7 and 8). The weights are put
    back byte for byte.
    """

    def gradient(self, bilevel: Bilevel, train: Batch, held: Batch, step: int) -> list[Tensor]:
        """Return the gradient of the loss on held-back images after a step of the weights."""
        weights, eta = bilevel.parameters, bilevel.rate(step)
        kept = [weight.detach().clone() for weight in weights]
        try:
            self._look_ahead_(bilevel, train, kept, eta)
            loss, _ = bilevel.loss(held, self.shares(bilevel, step, "alpha"))
            of_alpha, *of_weights = torch.autograd.grad(loss, [bilevel.alpha, *weights])
            length = torch.linalg.vector_norm(torch.stack([g.norm() for g in of_weights])).double()
            radius = RADIUS / length.clamp_min(TINY)  # Where u is 0 both sides are the same.
            sides = []
            for sign in (1, -1):
                for weight, own, u in zip(weights, kept, of_weights, strict=True):
                    weight.data.copy_(own + (sign * radius) * u)
                side, _ = bilevel.loss(train, self.shares(bilevel, step, "alpha"))
                sides.append(bilevel.gradients(side)[0])
            return [of_alpha - eta * (sides[0] - sides[1]) / (2 * radius)]
        finally:
            for weight, own in zip(weights, kept, strict=True):
                weight.data.copy_(own)

    def _look_ahead_(self, bilevel: Bilevel, train: Batch, kept: list[Tensor], eta: float) -> None:
        """Move the weights as plain momentum descent would."""
        options = bilevel.config.train
        loss, _ = bilevel.loss(train, self.shares(bilevel, 0, "weights"))
        gradients = torch.autograd.grad(loss, bilevel.parameters)
        velocities = bilevel.descent.velocities
        rows = zip(bilevel.parameters, kept, velocities, gradients, strict=True)
        for weight, own, velocity, gradient in rows:
            slope = options.momentum * velocity + gradient + options.weight_decay * own
            weight.data.copy_(own - eta * slope)
