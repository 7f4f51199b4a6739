"""Adam for alpha and beta, momentum descent for the weights; both with states that a run keeps."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from stnas.config import Config
from stnas.config.alpha import AlphaConfig

FIRST, SECOND, TINY = 0.5, 0.999, 1e-8
"""Betas and epsilon of Adam (Liu et al. 2019, the authors' code)."""


class Adam:
    """Moves a parameter in place (Kingma & Ba 2015), with the L2 term in the gradient.

    prefix: of the names in its state.
    """

    names = ("alpha", "adam.mean", "adam.square", "adam.steps")

    def __init__(self, alpha: Tensor, config: AlphaConfig, *, prefix: str = "") -> None:
        self.alpha, self.config, self.prefix = alpha, config, prefix
        self.mean, self.square = torch.zeros_like(alpha), torch.zeros_like(alpha)
        self.steps = torch.zeros((), dtype=torch.int64)

    @torch.no_grad()
    def move_(self, gradient: Tensor) -> None:
        """Take a step against a gradient."""
        gradient = gradient + self.config.weight_decay * self.alpha
        self.steps += 1
        self.mean.mul_(FIRST).add_(gradient, alpha=1 - FIRST)
        self.square.mul_(SECOND).addcmul_(gradient, gradient, value=1 - SECOND)
        count = int(self.steps)
        mean, square = self.mean / (1 - FIRST**count), self.square / (1 - SECOND**count)
        self.alpha.sub_(self.config.learning_rate * mean / (square.sqrt() + TINY))

    def state(self) -> dict[str, Tensor]:
        """Return the parameter, its moments and the number of steps."""
        parts = (self.alpha.detach(), self.mean, self.square, self.steps)
        return {self.prefix + name: own for name, own in zip(self.names, parts, strict=True)}

    @torch.no_grad()
    def load_(self, tensors: dict[str, Tensor]) -> None:
        """Take what ``state`` returned out of the tensors of a saved state."""
        for name, value in self.state().items():
            value.copy_(tensors.pop(name))


class Descent:
    """``v <- mu v + g + decay w; w <- w - rate v``, or ``w - rate (g + decay w + mu v)``.

    The second is Nesterov's. The gradient's norm is cut first. A tensor without a gradient keeps
    its weight and its velocity.
    """

    def __init__(self, parameters: Mapping[str, Tensor], config: Config) -> None:
        self.train, self.options = config.train, config.alpha
        self.fused = config.kernels == "fused"
        self.names, self.weights = list(parameters), list(parameters.values())
        self.velocities = [torch.zeros_like(weight) for weight in self.weights]

    @torch.no_grad()
    def move_(self, gradients: Sequence[Tensor | None], *, lr: float) -> None:
        """Take a step against the gradients of all parameters."""
        triples = zip(self.weights, self.velocities, gradients, strict=True)
        moved = [(w, v, g) for w, v, g in triples if g is not None]
        weights, velocities, found = ([own[i] for own in moved] for i in range(3))
        if self._steps_at_once(weights):
            self._step_at_once_(weights, velocities, found, lr=lr)
            return
        factor = self._factor(torch.stack([g.norm() for g in found]))
        for weight, velocity, gradient in moved:
            whole = gradient * factor + self.train.weight_decay * weight
            velocity.mul_(self.train.momentum).add_(whole)
            ahead = whole + self.train.momentum * velocity if self.options.nesterov else velocity
            weight.sub_(lr * ahead)

    def _factor(self, parts: Tensor) -> Tensor:
        """Return what cuts a gradient whose norm is that of the parts."""
        norm = torch.linalg.vector_norm(parts)
        return torch.clamp(self.options.largest_gradient / (norm + 1e-6), max=1.0)

    def _steps_at_once(self, weights: Sequence[Tensor]) -> bool:
        """Tell whether torch has a kernel for the whole step, up to rounding the same."""
        dtypes = {weight.dtype for weight in weights}
        alike = len(dtypes) == 1 and dtypes <= {torch.float32, torch.float64}
        own = all(weight.is_cpu and weight.is_contiguous() for weight in weights)
        return self.fused and alike and own and self.train.momentum > 0

    def _step_at_once_(
        self,
        weights: list[Tensor],
        velocities: list[Tensor],
        gradients: Sequence[Tensor],
        *,
        lr: float,
    ) -> None:
        # Calls for each of some fifty small tensors would cost more than their numbers do.
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        flat.mul_(self._factor(flat))
        torch._fused_sgd_(
            weights,
            list(parts),
            velocities,
            weight_decay=self.train.weight_decay,
            momentum=self.train.momentum,
            lr=lr,
            dampening=0.0,
            nesterov=self.options.nesterov,
            maximize=False,
            is_first_step=False,
        )

    def state(self) -> dict[str, Tensor]:
        """Return the velocities by the names of their parameters."""
        pairs = zip(self.names, self.velocities, strict=True)
        return {f"velocity.{name}": value for name, value in pairs}

    def load_(self, tensors: dict[str, Tensor]) -> None:
        """Take what ``state`` returned out of the tensors of a saved state."""
        for name, value in self.state().items():
            value.copy_(tensors.pop(name))
