"""Runs in Python: configurations of keyword arguments, stages as methods, typed results."""

from dataclasses import replace
from operator import attrgetter

import pytest
import yaml

import stnas
from stnas.cli.parser import parse
from stnas.config import Config
from stnas.config.values import UsageError
from stnas.pipeline.configuration import config_file, recipes
from stnas.store.origin import plain
from stnas.store.settings import read_file


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny_images):
    """A complete run, made through the public function."""
    return stnas.run(
        run=str(tmp_path_factory.mktemp("runs") / "<mine>"),
        data={"path": str(tiny_images), "crop_padding": 1},
        space={"profile": "nano"},
        train={"epochs": 2, "batch_size": 32, "ema": [0.9]},
        sgld={"samples": 2},
        search={"population": 4, "generations": 2, "recalibration_images": 64},
        verdict={"candidates": 0},
        retrain={"epochs": 1, "batch_size": 32, "warmup_epochs": 0, "random_twins": 2},
    )


def test_options_mean_what_the_command_line_means(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text("train: {epochs: 7, batch_size: 8}\nseed: 3\n")
    made = stnas.configure(
        "cifar",
        file,
        train={"batch_size": 16},
        run=tmp_path / "1e3",
        threads=None,
        search={"limits": [1e5, 200_000]},
        **{"data.flip": False},
    )
    words = ["run", "--config", "cifar", "--config", str(file), "--train.batch_size", "16"]
    words += ["--run", str(tmp_path / "1e3"), "--search.limits", "[1e5,200000]"]
    assert made == parse([*words, "--data.flip", "false"]).config
    assert made.train.epochs == 7
    assert stnas.configure("quickstart") == parse(["quickstart"]).config


@pytest.mark.parametrize("recipe", recipes())
def test_every_command_takes_every_recipe(recipe):
    told = read_file(config_file(recipe))
    for command in ("run", "train"):
        config = parse([command, "--config", recipe]).config
        assert {name: attrgetter(name)(config) for name in told} == told
    command = "quickstart" if recipe == "quickstart" else "run"
    assert stnas.configure(recipe) == parse([command, "--config", recipe]).config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 3}, "did you mean train.epochs or"),
        ({"train": {"epoch": 3}}, "did you mean train.epochs"),
        ({"train": {"epochs": "many"}}, "train.epochs must be a whole number, got 'many'"),
        ({"train": {"epochs": 2.5}}, "train.epochs must be a whole number, got '2.5'"),
        ({"data": {"flip": 2}}, "data.flip must be true or false"),
        ({"train": 3}, "did you mean train"),
        ({"seed": None}, "seed must be a whole number"),
    ],
)
def test_wrong_options_are_answered_by_name(options, message):
    with pytest.raises(UsageError, match=message):
        stnas.configure(**options)


def test_a_source_that_is_none_is_named():
    with pytest.raises(UsageError, match="did you mean cifar"):
        stnas.configure("cifra")
    with pytest.raises(ValueError, match="one configuration alone"):
        stnas.run(Config(), seed=3)


def test_a_whole_run_leaves_typed_results(whole):
    assert whole.complete == ["train", "sgld", "search", "retrain", "report"]
    assert repr(whole).startswith("Run('")
    best = whole.networks[-3]
    assert best["role"] == "chosen"
    assert best["genotype"] in {row["genotype"] for row in whole.choices}
    costs = [row["madds"] for row in whole.front]
    assert costs == sorted(costs)
    assert [len(lead.twins) for lead in whole.leads] == [2] * len(whole.leads)
    assert "scatter" in whole.figures
    assert whole.load("A").description["genotype"] == whole.networks[0]["genotype"]
    assert whole.load().classes == whole.load("A").classes
    assert whole.report().read_text().startswith("<!")


def test_a_notebook_shows_it_escaped(whole):
    html = whole._repr_html_()
    assert "&lt;mine&gt;" in html
    assert "<mine>" not in html
    assert whole.networks[0]["genotype"] in html
    assert html.count("<table>") == 2


def test_a_folder_is_a_run_of_what_it_was_made_with(whole, capsys):
    again = stnas.Run(whole.folder)
    assert plain(again.config) == plain(whole.config)
    again.go("train")
    assert "is complete" in capsys.readouterr().out
    assert yaml.safe_load((whole.folder / "config.yaml").read_text())["seed"] == 0


def test_nothing_is_there_before_it_is_made(tmp_path):
    empty = stnas.Run(tmp_path / "none")
    assert empty.complete == []
    assert "nothing complete" in empty._repr_html_()
    with pytest.raises(FileNotFoundError, match="stnas train"):
        _ = empty.front
    with pytest.raises(FileNotFoundError, match="stnas train"):
        empty.search()
    with pytest.raises(ValueError, match="stage must be one of"):
        empty.go("serch")
    assert not (tmp_path / "none").exists()


def test_other_limits_make_other_choices(whole):
    least = min(row["madds"] for row in whole.front)
    search = replace(whole.config.search, limits=(float(least),))
    again = stnas.Run(replace(whole.config, search=search)).search()
    assert [(row["madds"], row["limit"]) for row in again.choices] == [(least, least)]
