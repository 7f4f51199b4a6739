"""The time that a run will take, before the first epoch is done."""

from dataclasses import replace

import pytest

from stnas.learn.forecast import duration, forecast, work, work_of
from stnas.learn.task import prepare
from stnas.train import run


@pytest.fixture
def task(tiny_config):
    return prepare(tiny_config)


def test_the_stages_are_counted_in_images(tiny_config, task):
    found = work(tiny_config, task, left=3)
    train, held = len(task.dataset.train), len(task.dataset.validation)
    assert found["train"] == 3 * train
    assert found["sgld"] == 2 * train
    assert found["search"] == pytest.approx(4 * 3 * (96 + held) / 12)
    assert found["retrain"] == pytest.approx(2 * 2 * 2 * (train + held) / 1.6)
    half = work(tiny_config, task, left=1.5)
    assert half["train"] == found["train"] / 2
    assert {**half, "train": 0} == {**found, "train": 0}


def test_a_search_by_gradients_has_one_network_which_a_mixture_takes_longer_than(tiny_config):
    config = replace(
        tiny_config,
        train=replace(tiny_config.train, strategy="darts1"),
        search=replace(tiny_config.search, strategy="derived"),
    )
    found = work_of(config, 100, 20, 3)
    assert found["train"] == 3 * 100 / 2
    assert found["retrain"] == pytest.approx(1 * 2 * 2 * (100 + 20) / 6)


@pytest.mark.parametrize(
    ("section", "changes", "stage"),
    [
        ("verdict", {"candidates": 0}, "verdict"),
        ("verdict", {"epochs": 1}, "verdict"),
        ("search", {"score": "single"}, "sgld"),
        ("sgld", {"samples": 1}, "sgld"),
        ("search", {"generations": 1}, "search"),
        ("retrain", {"random_twins": 0}, "retrain"),
        ("retrain", {"with_validation": False}, "retrain"),
    ],
)
def test_less_work_takes_less_time(tiny_config, task, section, changes, stage):
    whole = replace(tiny_config, verdict=replace(tiny_config.verdict, candidates=6, epochs=2))
    less = replace(whole, **{section: replace(getattr(whole, section), **changes)})
    before, after = work(whole, task, left=3), work(less, task, left=3)
    assert after.get(stage, 0.0) < before[stage]


def test_what_is_left_out_is_not_named(tiny_config, task):
    config = replace(tiny_config, verdict=replace(tiny_config.verdict, candidates=0))
    text = forecast(config, task, 1000.0, 3)
    assert text.startswith("time: about ")
    assert "verdict" not in text
    assert "train 1 s" in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (89, "89 s"), (90, "1.5 min"), (7200, "2.0 h")]
)
def test_times_are_for_people(seconds, text):
    assert duration(seconds) == text


def test_it_is_told_once_and_before_the_first_epoch(tiny_config, capsys):
    run(tiny_config)
    out = capsys.readouterr().out
    assert out.count("time: about") == 1
    assert out.index("time: about") < out.index("train epoch 1/3")
