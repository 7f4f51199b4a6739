"""A choice block bound to its tensors: checked once, applied to many batches without gradients."""

import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from stnas.ops.bottleneck.arguments import OPS, Affine, Norms, Options, checked_input
from stnas.ops.bottleneck.reference import BottleneckWeights
from stnas.ops.dtypes import autocasts
from stnas.ops.shapes import check_count, empty_image, out_size

ADD = OPS.linear_bottleneck_add_.default
INFER = OPS.linear_bottleneck_inference.default


class BoundBlock:
    """``linear_bottleneck`` of these tensors, bit for bit, for callers that take no gradients.

    weights: as ``packed`` gives them. affine: ``affine_parameters`` of the norms, which have
    running statistics.
    """

    __slots__ = ("_affine", "_options", "_running", "_weights")

    def __init__(
        self, weights: BottleneckWeights, affine: Affine, options: Options, norms: Norms
    ) -> None:
        self._weights, self._affine, self._options = weights, affine, options
        self._running = [value for norm in norms for value in norm[2:] if value is not None]
        if len(self._running) != 2 * len(norms):
            raise ValueError("norms must have running statistics, got None: pass tensors")

    def __call__(
        self, x: Tensor, *, training: bool, momentum: float, moments: Tensor | None = None
    ) -> Tensor:
        """Apply the block to x ``[N, C, H, W]``, and move its statistics where ``training``.

        Raises RuntimeError where autograd would record it.
        """
        if torch.is_grad_enabled():
            raise RuntimeError(
                "a bound block has no gradient: call it under torch.inference_mode(), or use "
                "stnas.ops.linear_bottleneck"
            )
        if autocasts(x) or x.dim() != 4:
            x = checked_input(x, self._weights.expand)
        x = x.contiguous(memory_format=torch.channels_last)
        tensors = (self._weights, self._affine, self._running)
        if not training:
            out: Tensor = INFER(x, *tensors, *self._options)
            return out
        check_count(x, self._options.stride)
        out = empty_image(x, out_size(x, self._weights.project, self._options.stride))
        ADD(x, moments, *tensors, momentum, out, False, *self._options, False)
        increment_version(self._running)
        return out
