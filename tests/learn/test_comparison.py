"""The lead of the choices, and what chance would give."""

from math import inf, isfinite, sqrt

import numpy as np
import pytest
from scipy import stats

from stnas.learn.comparison import leads, mean_lead, pooled, t_975


def network(name, accuracy, role="chosen"):
    return {"name": name, "role": role, "test_accuracy": accuracy}


def run(twins, choice=0.9, name="A", baselines=()):
    rows = [network(name, choice)]
    rows += [network(f"{name}-random-{i}", x, "random") for i, x in enumerate(twins, start=1)]
    return rows + [network(f"{name}-{kind}", x, "baseline") for kind, x in baselines]


@pytest.mark.parametrize("freedom", [1, 2, 5, 20, 21, 30, 100, 1000])
def test_the_quantiles_are_those_of_student(freedom):
    assert t_975(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=5e-4)


def test_a_lead_is_over_the_mean_and_its_interval_is_that_of_one_more_network():
    twins = [0.86, 0.88, 0.87, 0.89]
    (lead,) = leads(run(twins))
    assert lead.lead == pytest.approx(0.9 - np.mean(twins))
    spread = np.std(twins, ddof=1)
    assert lead.half == pytest.approx(stats.t.ppf(0.975, 3) * spread * sqrt(1.25), rel=5e-4)
    assert lead.hand_made is lead.lead_over_hand_made is None


def test_a_random_network_leads_beyond_its_interval_as_often_as_stated():
    rng = np.random.default_rng(0)
    drawn = rng.normal(0.8, 0.01, (4000, 5))
    beyond = 0
    for *twins, choice in drawn.tolist():
        (lead,) = leads(run(twins, choice))
        beyond += abs(lead.lead) > lead.half
    assert beyond / len(drawn) == pytest.approx(0.05, abs=0.012)


def test_the_spread_is_pooled_over_the_choices():
    rows = run([0.80, 0.82], name="A") + run([0.90, 0.94, 0.92], name="B")
    squares = 2 * 0.01**2 + 2 * 0.02**2
    expected = stats.t.ppf(0.975, 3) * sqrt(squares / 3)
    a, b = leads(rows)
    assert a.half == pytest.approx(expected * sqrt(1.5), rel=5e-4)
    assert b.half == pytest.approx(expected * sqrt(4 / 3), rel=5e-4)
    value, half = mean_lead([a, b])
    assert value == pytest.approx((0.09 - 0.02) / 2)
    assert half == pytest.approx(sqrt(a.half**2 + b.half**2) / 2)


def test_names_that_begin_alike_are_kept_apart():
    rows = run([0.1], name="A") + run([0.2, 0.4], name="AA")
    assert [lead.twins for lead in leads(rows)] == [(0.1,), (0.2, 0.4)]


def test_the_best_hand_made_network_is_the_bar():
    (lead,) = leads(run([], baselines=[("separable", 0.91), ("mobilenet_v2", 0.85)]))
    assert lead.hand_made == "separable"
    assert lead.lead_over_hand_made == pytest.approx(-0.01)
    assert lead.lead is None
    assert mean_lead([lead]) is None


def test_one_twin_tells_no_spread():
    (lead,) = leads(run([0.8]))
    assert lead.half == inf
    assert not isfinite(mean_lead([lead])[1])
    assert pooled([[0.8], []]) == (0.0, 0)


def test_a_run_without_networks_has_no_leads():
    assert leads([]) == []
    assert mean_lead([]) is None
