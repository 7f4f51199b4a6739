"""GDAS (Dong & Yang 2019): one candidate of each edge is drawn by the Gumbel trick."""

import torch
from torch import Tensor

from stnas.data.epochs import Batch
from stnas.group.streams import torch_generator
from stnas.ops.sending import sent
from stnas.supernet.mixture import Drawn, Shares
from stnas.train.gradient.bilevel import Bilevel


class GumbelDraw:
    """The drawn candidate k counts ``1 - p_k.detach() + p_k``, which is 1.

    ``p = softmax((log a + G) / tau)`` with ``a = softmax(alpha)`` and Gumbel noise G, a function of
    (seed, step, row). The other candidates are left out (AutoDL-Projects, issue 119; the original
    adds them with the weight 0, which changes the gradients).
    """

    weights_first = True
    weighs_edges = False

    def shares(self, bilevel: Bilevel, step: int, purpose: str) -> list[Shares]:
        """Draw a candidate for every row of alpha."""
        alpha = bilevel.alpha.detach() if purpose == "weights" else bilevel.alpha
        noise = gumbel(alpha, seed=bilevel.config.seed, step=step, purpose=purpose)
        p = ((alpha.log_softmax(1) + noise) / self.tau(bilevel, step)).softmax(1)
        drawn = p.argmax(1).tolist()  # The host must know what it computes: a GPU is waited for.
        return [Drawn(choice, straight(row, choice)) for choice, row in zip(drawn, p, strict=True)]

    def gradient(self, bilevel: Bilevel, train: Batch, held: Batch, step: int) -> list[Tensor]:
        """Return the gradient of the loss on held-back images along the drawn candidates."""
        loss, _ = bilevel.loss(held, self.shares(bilevel, step, "alpha"))
        if not loss.requires_grad:
            return [torch.zeros_like(bilevel.alpha)]
        return bilevel.gradients(loss)

    def tau(self, bilevel: Bilevel, step: int) -> float:
        """Return the temperature of a step, which falls linearly by epochs."""
        options, epochs = bilevel.config.alpha, bilevel.config.train.epochs
        done = (step // bilevel.steps) / max(1, epochs - 1)
        return options.tau + (options.final_tau - options.tau) * done


def straight(p: Tensor, choice: int) -> Tensor:
    """Return ``1 - p_k.detach() + p_k``: 1, with the gradient of p_k ``[choices]``."""
    return 1 - p[choice].detach() + p[choice]


def gumbel(alpha: Tensor, *, seed: int, step: int, purpose: str) -> Tensor:
    """Return Gumbel noise ``-log(-log U)`` of the shape of alpha, a function of (seed, step)."""
    generator = torch_generator(seed, "gumbel", purpose, step)
    uniform = torch.rand(alpha.shape, generator=generator, dtype=torch.float64)
    noise = -(-uniform.clamp(1e-12, 1 - 1e-12).log()).log()
    return sent(noise.to(alpha.dtype), alpha.device)
