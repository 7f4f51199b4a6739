"""The convolution that makes the expanded tensor itself: the numbers of the one that reads it."""

from typing import Any

import pytest
import torch
from blocks import Case, Inputs, draw, forward, image, infer, moved, train
from torch import Tensor

# Channels of every residue of 8, one and two tiles of 32 of them; hidden ones of many residues of
# 16 and 32, fewer and more than a block makes; every kernel and stride, images that tiles do not
# fill, that are smaller than a window, and of one pixel.
CASES = [
    Case((2, 8, 9, 4, 9, 9), 3, 1, "relu6"),
    Case((1, 17, 9, 2, 10, 14), 5, 2, "silu"),
    Case((1, 5, 7, 3, 11, 13), 7, 4, "hardswish"),
    Case((3, 33, 20, 3, 5, 5), 3, 1, "relu", affine=False),
    Case((1, 3, 70, 2, 9, 17), 7, 1, "silu", affine=False),
    Case((2, 6, 5, 5, 13, 6), 3, 2, "hardswish"),
    Case((3, 4, 12, 3, 9, 10), 5, 4, "relu6", affine=False),
    Case((1, 11, 12, 6, 16, 8), 5, 1, "hardswish"),
    Case((1, 10, 6, 3, 17, 16), 7, 2, "relu"),
    Case((1, 64, 24, 1, 12, 12), 3, 4, "silu"),
    Case((1, 63, 9, 1, 7, 3), 5, 1, "relu6"),
    Case((1, 1, 3, 1, 1, 1), 7, 1, "silu"),
    Case((3, 2, 3, 40, 1, 1), 3, 2, "hardswish"),
]
LARGEST = {torch.bfloat16: 64, torch.float32: 16}
"""Channels of the input with which blocks make the expanded tensor themselves."""

# Of float32 images, with kernels up to twice the stride and one.
PLAIN = [CASES[i] for i in (0, 2, 5, 6, 12)]
PLAIN += [
    Case((1, 16, 20, 3, 9, 9), 3, 1, "relu", affine=False),
    Case((1, 15, 9, 2, 5, 16), 3, 1, "hardswish"),
    Case((1, 10, 5, 3, 12, 7), 5, 2, "silu"),
    Case((3, 1, 3, 70, 1, 1), 3, 1, "silu"),
]
BOTH = [(case, torch.bfloat16) for case in CASES] + [(case, torch.float32) for case in PLAIN]


def widened(given: Inputs) -> Inputs:
    """Give the input channels of zeros, as many as make the expanded tensor a stored one."""
    channels = max(0, LARGEST[given.x.dtype] + 1 - given.x.shape[1])
    x = image(torch.nn.functional.pad(given.x, (0, 0, 0, 0, 0, channels)))
    expand = torch.nn.functional.pad(given.weights[0], (0, 0, 0, 0, 0, channels))
    return given._replace(x=x, weights=[expand, *given.weights[1:]])


def infer_plainly(ops: Any, case: Case, given: Inputs) -> Tensor:
    """Return the output with running statistics and without the input."""
    out: Tensor = ops.linear_bottleneck_inference(
        given.x, given.weights, given.affine, given.running, case.stride, case.activation, False
    )
    return out


@pytest.mark.parametrize(("case", "dtype"), BOTH, ids=str)
def test_it_has_the_bits_of_the_stored_form(kernels, case, dtype):
    """Zeros change no sum: with more channels, the same block reads what it stored."""
    given = moved(draw(case, dtype), kernels.device)
    found, expected = (infer_plainly(kernels.ops, case, one) for one in (given, widened(given)))
    assert torch.equal(found, expected)


@pytest.mark.parametrize(("case", "dtype"), BOTH, ids=str)
def test_training_has_the_bits_of_inference_with_its_statistics(kernels, case, dtype):
    given = moved(draw(case, dtype), kernels.device)
    out, (statistics, *_) = forward(kernels.ops, given, (case.stride, case.activation, False))
    hidden = len(given.weights[0])
    running = list(statistics.split([hidden] * 4 + [case.size[2]] * 2))
    stored = widened(given)._replace(running=running)
    assert torch.equal(out, infer_plainly(kernels.ops, case, stored))


@pytest.mark.parametrize(("case", "dtype"), [BOTH[i] for i in (1, 3, 7, 14, 15)], ids=str)
def test_the_order_of_threads_changes_no_bit(kernels, case, dtype):
    given = moved(draw(case, dtype), kernels.device)
    results = []
    for _ in kernels.schedules():
        results.append([*train(kernels.ops, case, given).values(), infer(kernels.ops, case, given)])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(other, results[0], strict=True))


# With larger kernels or more channels the expanded tensor is stored in any case.
STORED = [(CASES[i], torch.float32) for i in (3, 4, 7, 8)]


@pytest.mark.parametrize(
    ("case", "dtype"), [*(BOTH[i] for i in (0, 3, 5, 13, 14)), *STORED], ids=str
)
def test_the_expanded_tensor_is_all_that_is_not_stored(checked, case, dtype):
    given = draw(case, dtype)
    stored = []
    for one in (given, widened(given)):
        infer_plainly(checked.ops, case, one)
        rows = checked.traffic(access="store")
        stored.append(sum(row["moved"] for row in rows if row["memory"] == "device"))
    images, _, _, _, height, width = case.size
    expanded = images * height * width * -(-len(given.weights[0]) // 16) * 16
    missing = 0 if (case, dtype) in STORED else expanded * given.x.element_size()
    assert stored[1] - stored[0] == missing
