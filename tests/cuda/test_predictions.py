"""The predictions of docs/cuda.md, and the cases with which a GPU will test them."""

import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from blocks import Case, draw, infer, train
from numerics import error

ROOT = Path(__file__).parents[2]


@pytest.fixture
def load(monkeypatch):
    """Give a function that imports a script of the benchmarks."""
    known = set(sys.modules)
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield import_module
    for name in set(sys.modules) - known:
        file = getattr(sys.modules[name], "__file__", None)
        if file and file.startswith(str(ROOT / "benchmarks")):
            del sys.modules[name]


def test_the_tables_of_the_page_are_those_of_the_predictions(load):
    predictions, text = load("predictions"), load("ranking_text")
    page = predictions.PAGE.read_text()
    assert text.filled(page, predictions.tables()) == page


def test_blocks_expand_themselves_where_that_is_predicted_to_take_less_time(load):
    passes, launches, predictions = (
        load("block_passes"),
        load("block_launches"),
        load("predictions"),
    )
    shapes = load("block_shapes")
    cases = {case for profile in shapes.BATCHES for case in shapes.cases(profile)}
    blocks = [launches.Block(case, dtype) for case in cases for dtype in launches.WIDTHS]
    chosen = [block for block in blocks if block.expands_itself]
    assert {block.case.kernel for block in chosen} == {3, 5, 7}
    for block in chosen:
        stored = [passes.expansion(block), passes.convolution(block, itself=False)]
        itself = passes.convolution(block, itself=True)
        for gpu in predictions.GPUS:
            taken = sum(predictions.seconds(launch, gpu) for launch in stored)
            assert predictions.seconds(itself, gpu) < taken


@pytest.mark.parametrize(
    "size",
    [(2, 16, 16, 3, 6, 1, 12), (3, 16, 24, 5, 3, 2, 12), (2, 64, 16, 3, 3, 1, 8)],
    ids=["made anew", "strided", "kept"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_stores_move_the_bytes_that_are_predicted(checked, load, dtype, size):
    """What is stored beyond them are the numbers of a channel."""
    passes = load("block_passes")
    shape = load("block_shapes").Case(*size)
    images, c_in, c_out, kernel, expand, stride, side = size
    case = Case((images, c_in, c_out, expand, side, side), kernel, stride, affine=False)
    given, name = draw(case, dtype), str(dtype).removeprefix("torch.")
    runs = {"inference": infer, "training": train}
    launches = {
        "inference": passes.inference(shape, name),
        "training": passes.forward(shape, name) + passes.backward(shape, name),
    }
    for kind, run in runs.items():
        run(checked.ops, case, given)
        stored = sum(row["moved"] for row in checked.traffic(memory="device", access="store"))
        predicted = sum(launch.written for launch in launches[kind])
        assert predicted <= stored <= 1.25 * predicted


KINKED = 0.25
"""How far bfloat16 gradients may be apart: one rounding puts a value beyond a kink of relu6, and
how torch rounds depends on the processor. Of 40 draws the worst gradient was 0.15 away."""


def test_both_forms_of_a_case_agree(load):
    cases = load("gpu_cases")
    small = load("block_shapes").Case(2, 8, 8, 3, 4, 1, 6)
    torch.manual_seed(0)
    made = [
        cases.norm_case(2, 5, 4, device="cpu"),
        *(cases.moments_case(small, dtype, device="cpu") for dtype in cases.TOLERANCE),
        *(
            cases.block_case(small, dtype, training=training, device="cpu")
            for training in (False, True)
            for dtype in cases.TOLERANCE
        ),
    ]
    for case in made:
        found, expected = (
            value if isinstance(value, list) else [value] for value in (case.ours(), case.plain())
        )
        half = "bfloat16" in case.name and "moments" not in case.name
        kept = 1 if half else len(found)
        cases.compare(found[:kept], expected[:kept], torch.bfloat16 if half else torch.float32)
        assert all(error(a, b) <= KINKED for a, b in zip(found, expected, strict=True))
        case.check()
        assert case.moved > 0
    for case in (cases.sgld_case(100, device="cpu"), cases.counting_case(9, 5, 3, device="cpu")):
        case.check()
        case.plain()


def test_a_wrong_result_of_a_case_is_noticed(load):
    cases = load("gpu_cases")
    value = torch.ones(9)
    for dtype, bound in cases.TOLERANCE.items():
        with pytest.raises(AssertionError, match="is too large"):
            cases.compare([value * (1 + 2 * bound)], [value], dtype)
    case = cases.counting_case(9, 5, 3, device="cpu")
    with pytest.raises(AssertionError):
        cases.compare([case.ours()], [case.plain() + 10**6], torch.float32)
