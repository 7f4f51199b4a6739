"""Arguments of the choice block's operators for the tests of its kernels."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from stnas.ops.bottleneck import reference
from stnas.ops.bottleneck.reference import BottleneckWeights
from stnas.ops.layers.reference import BatchNorm
from stnas.ops.shapes import empty_image, out_size


class Case(NamedTuple):
    """A choice block: images, channels in and out, expand ratio, height, width, and the rest."""

    size: tuple[int, int, int, int, int, int]
    kernel: int = 3
    stride: int = 1
    activation: str = "relu6"
    affine: bool = True

    @property
    def residual(self) -> bool:
        """Tell whether the input is added: wherever it can be."""
        return self.stride == 1 and self.size[1] == self.size[2]

    @property
    def options(self) -> tuple[int, str, bool]:
        """Return the operators' last arguments."""
        return self.stride, self.activation, self.residual


class Inputs(NamedTuple):
    """An image, weights, affine parameters and running statistics."""

    x: Tensor
    weights: list[Tensor]
    affine: list[Tensor | None]
    running: list[Tensor]


def image(values: Tensor) -> Tensor:
    """Return an image in channels_last order."""
    return values.contiguous(memory_format=torch.channels_last)


def draw(case: Case, dtype: torch.dtype, *, seed: int = 0) -> Inputs:
    """Draw the arguments of a case; weights beside a bfloat16 image are float32."""
    images, c_in, c_out, expand, height, width = case.size
    generator = torch.Generator().manual_seed(seed)
    wide = torch.float32 if dtype == torch.bfloat16 else dtype

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(wide)

    hidden, squeeze = c_in * expand, max(1, c_in // 4)
    weights = [
        normal(hidden, c_in, 1, 1) / c_in**0.5,
        normal(hidden, 1, case.kernel, case.kernel) / case.kernel,
        normal(squeeze, hidden) / hidden**0.5,
        normal(squeeze),
        normal(hidden, squeeze),
        normal(hidden),
        normal(c_out, hidden, 1, 1) / hidden**0.5,
    ]
    affine: list[Tensor | None] = [None] * 6
    if case.affine:
        affine = [0.3 * normal(c) + shift for c in (hidden, hidden, c_out) for shift in (1.0, 0.0)]
    running = [
        value
        for c in (hidden, hidden, c_out)
        for value in (0.1 * normal(c), 1 + 0.1 * normal(c).abs())
    ]
    return Inputs(image(normal(images, c_in, height, width).to(dtype)), weights, affine, running)


def moved(values: Any, device: torch.device) -> Any:
    """Return tensors, and what lists and tuples hold of them, on a device."""
    if isinstance(values, Tensor):
        return values.to(device)
    if isinstance(values, Inputs):
        return Inputs(*(moved(value, device) for value in values))
    if isinstance(values, (list, tuple)):
        return type(values)(moved(value, device) for value in values)
    return values


def out_grad(out: Tensor) -> Tensor:
    """Draw a gradient of an output."""
    normal = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    return image(normal.to(out.dtype).to(out.device))


def forward(
    ops: Any, given: Inputs, options: tuple[int, str, bool]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return the output of the operators' training form, and what it keeps for the gradient."""
    out = empty_image(given.x, out_size(given.x, given.weights[-1], options[0]))
    kept = ops.linear_bottleneck_add_(
        given.x, None, given.weights, given.affine, [], 0.0, out, False, *options, True
    )
    return out, kept


def train(ops: Any, case: Case, given: Inputs) -> dict[str, Tensor]:
    """Return the output and all gradients of the operators' training forms."""
    out, kept = forward(ops, given, case.options)
    of_x, grads = ops.linear_bottleneck_backward(
        out_grad(out), given.x, given.weights, given.affine, kept, *case.options
    )
    names = (*BottleneckWeights._fields, *(["affine"] if case.affine else []))
    own = dict(zip(names, grads, strict=False))
    return {"out": out, "x": of_x, **own, "statistics": kept[0]}


def infer(ops: Any, case: Case, given: Inputs) -> Tensor:
    """Return the output with running statistics."""
    out: Tensor = ops.linear_bottleneck_inference(
        given.x, given.weights, given.affine, given.running, *case.options
    )
    return out


def twin(case: Case, given: Inputs, dtype: torch.dtype, *, training: bool) -> dict[str, Tensor]:
    """Return the plain twin's output in a dtype and, where it trains, its gradients."""
    affine = [v if v is None else v.to(dtype, copy=True).requires_grad_() for v in given.affine]
    leaves = [value.to(dtype, copy=True).requires_grad_() for value in (given.x, *given.weights)]
    statistics = [None] * 6 if training else [value.to(dtype) for value in given.running]
    norms = [
        BatchNorm(*affine[2 * i : 2 * i + 2], *statistics[2 * i : 2 * i + 2]) for i in range(3)
    ]
    out = reference.linear_bottleneck(
        leaves[0], BottleneckWeights(*leaves[1:]), (norms[0], norms[1], norms[2]),
        stride=case.stride, activation=case.activation, residual=case.residual, training=training,
    )  # fmt: skip
    if not training:
        return {"out": out.detach()}
    own = [value for value in affine if value is not None]
    found = torch.autograd.grad(out, [*leaves, *own], out_grad(out.float()).to(out.dtype))
    named = {
        "out": out.detach(),
        **dict(zip(("x", *BottleneckWeights._fields), found, strict=False)),
    }
    return named | ({"affine": torch.cat(found[8:])} if own else {})
