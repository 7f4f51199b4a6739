"""Calls of the choice block for timing: ours, the plain twin, and the twin by torch.compile."""

import math
from collections.abc import Callable

import torch
from block_shapes import Case
from torch import Tensor

from stnas.ops.bottleneck.reference import BottleneckWeights
from stnas.ops.bottleneck.reference import linear_bottleneck as twin
from stnas.ops.layers.reference import BatchNorm

Step = Callable[[], object]


def make_weights(case: Case) -> tuple[BottleneckWeights, tuple[BatchNorm, BatchNorm, BatchNorm]]:
    """Return random weights and norms without affine parameters."""
    hidden, squeeze = case.c_in * case.expand, max(1, case.c_in // 4)
    sizes = [
        (hidden, case.c_in, 1, 1), (hidden, 1, case.kernel, case.kernel), (squeeze, hidden),
        (squeeze,), (hidden, squeeze), (hidden,), (case.c_out, hidden, 1, 1),
    ]  # fmt: skip
    weights = BottleneckWeights(
        *(torch.randn(size) / math.sqrt(math.prod(size[1:]) or 1) for size in sizes)
    )
    norms = [
        BatchNorm(None, None, torch.zeros(c), torch.ones(c)) for c in (hidden, hidden, case.c_out)
    ]
    return weights, (norms[0], norms[1], norms[2])


def make_step(
    form: Callable[..., Tensor],
    case: Case,
    *,
    nhwc: bool,
    training: bool,
    dtype: torch.dtype = torch.float32,
) -> Step:
    """Return one call: forward and backward with batch statistics, or inference."""
    torch.manual_seed(0)
    weights, norms = make_weights(case)
    weights = BottleneckWeights(*(weight.to(dtype) for weight in weights))
    layout = torch.channels_last if nhwc else torch.contiguous_format
    out = -(-case.resolution // case.stride)
    x = torch.randn(case.batch, case.c_in, case.resolution, case.resolution, dtype=dtype)
    grad = torch.randn(case.batch, case.c_out, out, out, dtype=dtype).contiguous(
        memory_format=layout
    )
    x = x.contiguous(memory_format=layout).requires_grad_(training)
    leaves = [x, *(w.requires_grad_(training) for w in weights)]
    residual = case.stride == 1 and case.c_in == case.c_out

    def call() -> Tensor:
        return form(
            x, weights, norms,
            stride=case.stride, activation="relu6", residual=residual, training=training,
        )  # fmt: skip

    def train() -> object:
        return torch.autograd.grad(call(), leaves, grad)

    return train if training else torch.no_grad()(call)


def compiled_step(case: Case, *, training: bool) -> Step:
    """Return the call that torch.compile makes of the plain twin, compiled at its first run."""
    torch._dynamo.reset()
    form = torch.compile(twin, dynamic=False)
    return make_step(form, case, nhwc=True, training=training)
