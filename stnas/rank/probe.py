"""A linear probe: a classifier of its own for an architecture, on features of shared weights.

All architectures share one classifier, which cannot suit the features of each; what that costs an
architecture says nothing of what it would reach alone.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import LBFGS

from stnas.data.epochs import Batch
from stnas.supernet import Network

DECAY, STEPS = 0.001, 30
"""Weight of the squared norm of the weights, and most steps of L-BFGS."""


def probe_(network: Network, images: Iterable[Batch], *, weights: Tensor | None = None) -> None:
    """Put a classifier that is fitted to the features of some images in place of the network's own.

    The features of an image are what its classifier sees, in evaluation mode (Alain and Bengio
    2016, section 3). weights: factors of the loss of each class ``[classes]``. Nothing but the
    classifier changes; the network is left in evaluation mode.
    """
    tail, classes = network.tail, network.tail.classifier.out_features
    tail.classifier = nn.Identity()  # type: ignore[assignment]
    network.eval()
    with torch.no_grad():
        seen = [(network(batch), labels) for batch, labels in images]
    features, labels = (torch.cat(parts) for parts in zip(*seen, strict=True))
    device, factors = features.device, None if weights is None else weights.double().cpu()
    weight, bias = fitted(features.double().cpu(), labels.cpu(), classes, weights=factors)
    tail.classifier = nn.Linear(features.shape[1], classes)
    with torch.no_grad():
        tail.classifier.weight.copy_(weight)
        tail.classifier.bias.copy_(bias)
    tail.classifier.to(device)


def fitted(
    features: Tensor, labels: Tensor, classes: int, *, weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Fit a multinomial logistic regression; return its weights ``[classes, f]`` and biases.

    features: float64 ``[n, f]``, each standardised to z, or 0 where all images have the same. The
    least of ``mean_i CE(W z_i + b, y_i) + 0.001 |W|^2`` is sought by 30 steps of L-BFGS from 0, and
    what it is of the features as they are is returned.
    """
    mean, spread = features.mean(0), features.std(0, correction=0)
    scale = torch.where(spread > 0, 1 / spread, 0.0)
    z = (features - mean) * scale
    weight = torch.zeros(classes, features.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    search = LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        logits = functional.linear(z, weight, bias)
        value = functional.cross_entropy(logits, labels, weight=weights)
        value = value + DECAY * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    search.step(loss)  # type: ignore[no-untyped-call]
    own = weight.detach() * scale
    return own, bias.detach() - own @ mean
