"""How far the noise alone will move the weights, told before it does."""

import math
from collections.abc import Sequence

from torch import Tensor

from stnas.config import SgldConfig
from stnas.ops.sgld import noise_scale


def expected_drift(
    config: SgldConfig, tensor: Tensor, *, num_data: int, steps_per_epoch: int
) -> float:
    """Return ``s sqrt(steps)``, the standard deviation that an epoch's noise adds to a weight.

    For a tensor that is active in every step; s is the step's noise (``ops.sgld.noise_scale``).
    """
    scale = noise_scale(
        config.mode,
        lr=config.learning_rate,
        temperature=config.temperature,
        num_data=num_data,
        rho=config.rho,
        steps_per_epoch=steps_per_epoch,
        rms=root_mean_square(tensor),
    )
    return scale * math.sqrt(steps_per_epoch)


def root_mean_square(tensor: Tensor) -> float:
    """Return ``sqrt(mean(w^2))``."""
    return float(tensor.detach().square().mean().sqrt())


def drift_report(
    config: SgldConfig, weights: Sequence[Tensor], *, num_data: int, steps_per_epoch: int
) -> str:
    """Say how far an epoch's noise is expected to move always active weights, and warn.

    weights: the tensors that every architecture uses.
    """
    options = {"num_data": num_data, "steps_per_epoch": steps_per_epoch}
    moved = [expected_drift(config, weight, **options) for weight in weights]
    sizes = [root_mean_square(weight) for weight in weights]
    absolute = sum(moved) / len(moved)
    relative = math.sqrt(sum(m * m for m in moved) / max(sum(s * s for s in sizes), 1e-30))
    text = (
        f"sgld: mode {config.mode}, the noise of an epoch moves a weight by {absolute:.3g}, "
        f"{100 * relative:.3g} % of its root mean square"
    )
    if relative > 0.5:
        text += (
            "\nsgld: WARNING: noise of that size destroys a trained network; "
            "use --sgld.mode posterior"
        )
    return text
