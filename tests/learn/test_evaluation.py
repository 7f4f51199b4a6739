"""Accuracy, recalls and their mean are those of their formulas, however the images are cut up."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from stnas.learn.evaluation import Evaluation, Tally, evaluate, evaluate_together
from stnas.learn.scoring import bounded

CLASSES = 4


class Table(nn.Module):
    """Gives the logits that the images are."""

    def forward(self, x):
        return x


def cut(seed, sizes, classes=CLASSES):
    rng = np.random.default_rng(seed)
    parts = []
    for size in sizes:
        logits = torch.from_numpy(rng.normal(size=(size, CLASSES)))
        parts.append((logits, torch.from_numpy(rng.integers(0, classes, size))))
    return parts


@given(st.integers(0, 10**6), st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_figures_are_those_of_the_confusion_matrix(seed, sizes):
    data = cut(seed, sizes, classes=3)  # The last class has no images.
    found = evaluate(Table(), data)
    logits, labels = (torch.cat(column) for column in zip(*data, strict=True))
    confusion = np.zeros((CLASSES, CLASSES))
    np.add.at(confusion, (labels.numpy(), logits.argmax(1).numpy()), 1)
    assert found.accuracy == pytest.approx(np.trace(confusion) / confusion.sum())
    with np.errstate(invalid="ignore"):
        recalls = np.diag(confusion) / confusion.sum(1)
    known = [math.nan if recall is None else recall for recall in found.recalls]
    np.testing.assert_allclose(known, recalls)
    assert found.balanced_accuracy == pytest.approx(np.nanmean(recalls))
    assert found.recalls[3] is None
    assert found.loss == pytest.approx(float(nn.functional.cross_entropy(logits, labels)))


def test_a_class_that_is_never_recognised_hides_from_accuracy_alone():
    tally = Tally()
    tally.add_(torch.tensor([[1.0, 0.0]]).expand(50, 2), torch.tensor([0] * 49 + [1]))
    found = tally.result()
    assert (found.accuracy, found.balanced_accuracy, found.recalls) == (0.98, 0.5, (1.0, 0.0))


@pytest.mark.parametrize("size", [2, 3])
def test_processes_add_their_counts(in_processes, size):
    data = cut(1, [5, 3])

    def work(group):
        return evaluate_together(Table(), data[group.rank :: group.size], group)

    alone = evaluate(Table(), data)
    for found in in_processes(size, work):
        assert found.recalls == alone.recalls
        assert (found.accuracy, found.balanced_accuracy) == (
            alone.accuracy,
            alone.balanced_accuracy,
        )
        assert found.loss == pytest.approx(alone.loss)


def test_samples_are_averaged_figure_by_figure():
    first = Evaluation(0.5, 2.0, 0.25, (0.0, 0.5, None))
    second = Evaluation(0.75, 1.0, 0.75, (1.0, 0.5, None))
    mean = bounded([first, second], 0.0)
    assert mean == Evaluation(0.625, 1.5, 0.5, (0.5, 0.5, None))
    low = bounded([first, second], 2.0)
    assert low.balanced_accuracy == pytest.approx(0.5 - 2 * math.sqrt(0.125))
    assert (low.accuracy, low.loss) == (
        pytest.approx(0.625 - 2 * math.sqrt(0.03125)),
        pytest.approx(1.5 + 2 * math.sqrt(0.5)),
    )
