"""What benchmarks/gpu.py times: each operator, its plain PyTorch form, its check and its bytes."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from block_launches import Launch
from block_passes import backward, forward, inference, moments, norm_act
from block_shapes import Case as Shape
from gpu_stages import Size
from torch import Tensor

from stnas import ops
from stnas.ops.bottleneck import reference
from stnas.ops.bottleneck.block import linear_bottleneck, node_moments
from stnas.ops.bottleneck.reference import BottleneckWeights
from stnas.ops.layers import reference as layer_reference
from stnas.ops.layers.reference import BatchNorm
from stnas.ops.sgld import sgld_step_

TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 0.05}
"""Norm of the difference from the CPU form over the norm of its result."""
KINKED = 0.25
"""The same of gradients in bfloat16, where one rounding puts a value beyond a kink of relu6."""


@dataclass(frozen=True)
class Case:
    """A kernel, its plain form, the check that it gives the CPU form's result, and the bytes."""

    name: str
    ours: Callable[[], object]
    plain: Callable[[], object]
    check: Callable[[], None]
    moved: int


def moved(launches: Sequence[Launch]) -> int:
    """Return the bytes that launches must move."""
    return sum(launch.moved for launch in launches)


def compare(found: Sequence[Tensor], expected: Sequence[Tensor], dtype: torch.dtype) -> None:
    """Raise AssertionError where a result, or a gradient behind it, is too far from the CPU's."""
    bounds = [TOLERANCE[dtype]] + [KINKED if dtype == torch.bfloat16 else TOLERANCE[dtype]] * 9
    for ours, theirs, bound in zip(found, expected, bounds[: len(found)], strict=True):
        gap, size = (ours.double().cpu() - theirs.double()).norm(), theirs.double().norm()
        assert gap <= bound * size, f"the error {gap:.3g} is too large for {size:.3g}"


def sgld_case(count: int, *, device: str) -> Case:
    """Step one tensor of ``count`` float32 numbers with noise: read w and g, write w."""
    options: dict[str, Any] = {"lr": 1e-3, "weight_decay": 1e-4, "mode": "posterior"}
    options |= {"num_data": 1000, "ids": [0], "seed": 1, "step": 2}
    here = [torch.randn(count) for _ in range(2)]
    there = [part.to(device, copy=True) for part in here]

    def ours() -> None:
        sgld_step_(there[:1], there[1:], **options)

    def plain() -> None:
        w, grad = there
        w.sub_((grad + w * 1e-4) * 1e-3).add_(torch.randn_like(w), alpha=(2e-3 / 1000) ** 0.5)

    def check() -> None:
        start, expected = there[0].clone(), here[0].clone()
        ours()
        sgld_step_([expected], here[1:], **options)
        torch.testing.assert_close(there[0].cpu(), expected, rtol=0, atol=1e-6)
        there[0].copy_(start)

    return Case(f"sgld_step_/{count}", ours, plain, check, 12 * count)


def counting_case(rows: int, genes: int, choices: int, *, device: str) -> Case:
    """Count ``rows`` architectures: read a byte a gene, write eight bytes a row."""
    genotypes = torch.randint(choices, (rows, genes), dtype=torch.int8)
    table = torch.randint(10**9, (genes, choices))
    there = (genotypes.to(device), table.to(device))
    index = there[0].long().T.contiguous()

    def check() -> None:
        assert torch.equal(ops.count_madds(*there).cpu(), ops.count_madds(genotypes, table))

    return Case(
        f"count_madds/{rows}x{genes} of {choices}",
        lambda: ops.count_madds(*there),
        lambda: there[1].gather(1, index).sum(0),
        check,
        rows * (genes + 8) + table.nbytes,
    )


def draw_image(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Draw an image in channels_last order."""
    return torch.randn(*shape).to(dtype).contiguous(memory_format=torch.channels_last)


def draw_weights(shape: Shape) -> list[Tensor]:
    """Draw the weights of a block."""
    hidden, squeeze = shape.c_in * shape.expand, max(1, shape.c_in // 4)
    sizes = [
        (hidden, shape.c_in, 1, 1), (hidden, 1, shape.kernel, shape.kernel), (squeeze, hidden),
        (squeeze,), (hidden, squeeze), (hidden,), (shape.c_out, hidden, 1, 1),
    ]  # fmt: skip
    return [torch.randn(size) / math.sqrt(math.prod(size[1:])) for size in sizes]


def draw_norms(shape: Shape, like: Tensor, *, training: bool) -> tuple[BatchNorm, ...]:
    """Return three BN without affine parameters; those of training have no running statistics."""
    hidden = shape.c_in * shape.expand
    if training:
        return (BatchNorm(),) * 3
    sizes = (hidden, hidden, shape.c_out)
    return tuple(BatchNorm(None, None, like.new_zeros(c), like.new_ones(c)) for c in sizes)


def block_case(shape: Shape, dtype: torch.dtype, *, training: bool, device: str) -> Case:
    """Apply a choice block with running statistics, or train it: forward and backward."""
    out, name = -(-shape.resolution // shape.stride), str(dtype).removeprefix("torch.")
    grad = draw_image((shape.batch, shape.c_out, out, out), dtype)
    x = draw_image((shape.batch, shape.c_in, shape.resolution, shape.resolution), dtype)
    here = [x, *draw_weights(shape)]
    there = [value.to(device) for value in here]
    narrow = [value.to(dtype) for value in there]
    residual = shape.stride == 1 and shape.c_in == shape.c_out

    def apply(form: Callable[..., Tensor], values: list[Tensor]) -> list[Tensor]:
        leaves = [value.detach().requires_grad_(training) for value in values]
        result = form(
            leaves[0], BottleneckWeights(*leaves[1:]),
            draw_norms(shape, values[1], training=training), stride=shape.stride,
            activation="relu6", residual=residual, training=training,
        )  # fmt: skip
        grads = torch.autograd.grad(result, leaves, grad.to(result.device)) if training else ()
        return [result, *grads]

    launches = forward(shape, name) + backward(shape, name) if training else inference(shape, name)
    return Case(
        f"linear_bottleneck {'training' if training else 'inference'}/{shape_name(shape)} {name}",
        lambda: apply(linear_bottleneck, there),
        lambda: apply(reference.linear_bottleneck, narrow),
        lambda: compare(apply(linear_bottleneck, there), apply(linear_bottleneck, here), dtype),
        moved(launches),
    )


def shape_name(shape: Shape) -> str:
    """Name a block in a table."""
    return "x".join(map(str, shape))


def norm_case(images: int, channels: int, side: int, *, device: str) -> Case:
    """Normalise and activate float32 images, and find the gradients."""
    here = [draw_image((images, channels, side, side), torch.float32) for _ in range(2)]
    there = [value.to(device) for value in here]

    def apply(form: Callable[..., Tensor], values: list[Tensor]) -> list[Tensor]:
        x = values[0].detach().requires_grad_()
        result = form(x, BatchNorm(), activation="relu6", training=True)
        return [result, *torch.autograd.grad(result, [x], values[1])]

    rows = images * side**2
    launches = norm_act(rows, channels, gradient=False) + norm_act(rows, channels, gradient=True)
    return Case(
        f"norm_act training/{images}x{channels}x{side}x{side}",
        lambda: apply(ops.norm_act, there),
        lambda: apply(layer_reference.norm_act, there),
        lambda: compare(apply(ops.norm_act, there), apply(ops.norm_act, here), torch.float32),
        moved(launches),
    )


def moments_case(shape: Shape, dtype: torch.dtype, *, device: str) -> Case:
    """Find mean and covariance of the input of blocks."""
    name = str(dtype).removeprefix("torch.")
    x = draw_image((shape.batch, shape.c_in, shape.resolution, shape.resolution), dtype)
    there = x.to(device)

    def plain() -> Tensor:
        rows = there.permute(0, 2, 3, 1).reshape(-1, shape.c_in).float()
        mean = rows.mean(0, keepdim=True)
        centred = rows - mean
        return torch.cat([mean, centred.T @ centred / len(rows)])

    return Case(
        f"node_moments/{shape_name(shape)} {name}",
        lambda: node_moments(there),
        plain,
        lambda: compare([node_moments(there)], [node_moments(x)], torch.float32),
        moved(moments(shape, name)),
    )


def cases(size: Size, *, device: str) -> Iterator[Case]:
    """Make every case of a size, one after the other: they need much memory."""
    block = size.block
    yield from (sgld_case(count, device=device) for count in size.sgld)
    yield counting_case(size.rows, 54, 11, device=device)
    yield norm_case(*size.norm, device=device)
    for dtype in (torch.float32, torch.bfloat16):
        yield moments_case(block, dtype, device=device)
        for training in (False, True):
            yield block_case(block, dtype, training=training, device=device)
