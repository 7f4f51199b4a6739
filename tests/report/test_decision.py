"""The first lines of the page say what was found, and how sure that is."""

import pytest

from stnas.learn.comparison import Lead
from stnas.report.decision import sentence, verdict

TWINS = (0.80, 0.81, 0.82)


def lead(accuracy, *, twins=TWINS, half=0.02, baselines=None):
    return Lead("A", accuracy, twins, baselines or {}, half)


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ([lead(0.9)], "+9.00 points on average (95 %: +7.00 to +11.00), more than chance"),
        ([lead(0.82)], "may be chance: it is not shown that the search was worth it"),
        ([lead(0.9, twins=())], "is unknown: no random networks were trained beside"),
        ([lead(0.9, twins=(0.8,), half=float("inf"))], "one random network each cannot tell"),
        (
            [lead(0.9, baselines={"separable": 0.95})],
            "hand-made network of the same size is better",
        ),
    ],
)
def test_the_verdict_says_whether_it_was_worth_it(known, words):
    assert words in verdict(known)


def test_a_sentence_names_what_stands_beside():
    row = {"madds": 1234567, "params": 890}
    text = sentence(row, lead(0.9, baselines={"separable": 0.85, "mobilenet_v2": 0.7}))
    for words in ("90.00 %", "1,234,567", "81.00 % (mean of 3)", "separable: 85.00 %"):
        assert words in text


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        ("madds", "and 890 parameters; random networks of its size: 81.00 %"),
        ("latency", "parameters, 71,000 nanoseconds; random networks of as many nanoseconds: 81"),
    ],
)
def test_a_sentence_names_what_the_random_networks_share(cost, words):
    row = {"madds": 1234567, "params": 890, "latency": 71000}
    assert words in sentence(row, lead(0.9), cost)
