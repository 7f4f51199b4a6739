"""Numbers of steps that are read later come in their order, and a bad one names its step."""

import math

import pytest
import torch

from stnas.learn.readings import TOGETHER, Readings


def blame(step, loss):
    return FloatingPointError(f"the loss is {loss} at step {step}")


def test_numbers_of_the_processor_are_known_at_once():
    known = []
    readings = Readings(lambda *numbers: known.append(numbers), blame)
    readings.add_(0, 0.5, 0.25)
    assert known == [(0.5, 0.25)]
    assert readings.loss == 0.5


def test_tensors_are_read_many_at_once_and_in_order():
    known = []
    readings = Readings(lambda *numbers: known.append(numbers), blame)
    for step in range(TOGETHER + 3):
        assert len(known) in (0, TOGETHER)
        readings.add_(step, torch.tensor(float(step)), torch.tensor(step / 2))
    readings.read_()
    readings.read_()
    assert known == [(step, step / 2) for step in range(TOGETHER + 3)]
    assert readings.loss == TOGETHER + 2


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_names_its_step(bad):
    known = []
    readings = Readings(lambda *numbers: known.append(numbers), blame)
    for step, loss in enumerate((1.0, bad, 2.0), start=7):
        readings.add_(step, torch.tensor(loss), torch.tensor(0.0))
    with pytest.raises(FloatingPointError, match=f"the loss is {bad} at step 8"):
        readings.read_()
    assert known == [(1.0, 0.0)]
