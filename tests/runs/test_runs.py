"""Runs in a list, side by side, and deleted: those of ours alone."""

import csv
import json
import shutil
from dataclasses import replace
from io import StringIO

import pytest

from stnas import runs, train
from stnas.cli import main
from stnas.cli.parser import parse
from stnas.config.runs import RunsOptions
from stnas.config.values import UsageError
from stnas.store.files import write_json
from stnas.store.lock import Lock
from stnas.store.own_files import write_own


def network(name, role, accuracy, madds=1000):
    return {
        "name": name,
        "role": role,
        "madds": madds,
        "params": madds // 10,
        "test_accuracy": accuracy,
    }


@pytest.fixture
def place(tmp_path, tiny_config):
    """Three runs: trained, retrained (one level deeper), and one that is damaged."""
    root = tmp_path / "all"
    first = root / "first"
    train.run(replace(tiny_config, run=str(first), seed=5))
    shutil.copytree(first, root / "deep" / "second")
    (root / "deep" / "second" / "retrain").mkdir()
    found = [network("A", "chosen", 0.5), network("B", "chosen", 0.75, 3000)]
    found += [network("A-random-1", "random", 0.25), network("B-random-1", "random", 0.25)]
    write_json(root / "deep" / "second" / "retrain" / "result.json", {"networks": found})
    shutil.copytree(first, root / "third")
    (root / "third" / "train" / "result.json").write_text("{")
    (root / "none").mkdir()
    (root / "link").symlink_to(first)
    return root


def listed(place, capsys, *words):
    main(["runs", str(place), "--answer", "json", *words])
    return json.loads(capsys.readouterr().out)


def test_the_list_tells_how_far_runs_are_and_what_they_found(place, capsys):
    rows = {row["name"]: row for row in listed(place, capsys, "--sort", "name")}
    assert list(rows) == ["deep/second", "first", "third"]
    assert rows["first"]["stage"] == "train"
    assert rows["first"]["seed"] == 5
    assert rows["first"]["network"] == ""
    second = rows["deep/second"]
    assert (second["network"], second["madds"], second["accuracy"]) == ("B", 3000, 0.75)
    assert second["lead"] == pytest.approx((0.25 + 0.5) / 2)
    assert second["size"] == sum(
        file.stat().st_size for file in (place / "deep/second").rglob("*") if file.is_file()
    )
    assert "third" in rows["third"]["damage"]


def test_orders_and_forms(place, capsys):
    by_size = [row["size"] for row in listed(place, capsys, "--sort", "size")]
    assert by_size == sorted(by_size, reverse=True)
    assert listed(place, capsys, "--sort", "accuracy")[0]["name"] == "deep/second"
    main(["runs", str(place), "--answer", "csv"])
    rows = list(csv.DictReader(StringIO(capsys.readouterr().out)))
    assert {row["name"] for row in rows} == {"first", "deep/second", "third"}
    main(["runs", str(place / "first")])
    out = capsys.readouterr().out
    assert "runs: 1, together" in out
    main(["runs", str(place / "none")])
    assert "runs: 0" in capsys.readouterr().out


def test_a_comparison_shows_networks_and_options_that_differ(place, capsys):
    main(["runs", str(place), "--compare", "first,deep/second"])
    out = capsys.readouterr().out
    assert "B-random-1" in out
    assert "75.00 %" in out
    assert "train.epochs" not in out
    settings = place / "first" / "config.yaml"
    text = settings.read_text().partition("\n")[2].replace("seed: 5", "seed: 7")
    settings.write_text(text)
    main(["runs", str(place), "--compare", "first,deep/second"])
    assert "│ seed   │ 7     │ 5" in capsys.readouterr().out


def test_a_comparison_comes_as_values_too(place, capsys):
    words = ["runs", str(place), "--compare", "first,deep/second", "--answer"]
    main([*words, "csv"])
    rows = list(csv.DictReader(StringIO(capsys.readouterr().out)))
    assert [row["network"] for row in rows] == ["A", "A-random-1", "B-random-1", "B"]
    assert {row["run"] for row in rows} == {"deep/second"}
    main([*words, "json"])
    found = json.loads(capsys.readouterr().out)
    assert [str(v) for row in found["networks"] for v in row.values()] == [
        v for row in rows for v in row.values()
    ]
    assert found["options"] == {}


def test_the_best_network_is_that_of_the_best_mean_of_its_trainings(place, capsys):
    file = place / "deep/second/retrain/result.json"
    rows = json.loads(file.read_text())["networks"]
    again = [network("A-seed-2", "again", 0.9), network("B-seed-2", "again", 0.6, 3000)]
    write_json(file, {"networks": rows + again})
    best = {row["name"]: row for row in listed(place, capsys)}["deep/second"]
    assert (best["network"], best["accuracy"]) == ("A", pytest.approx(0.7))


def test_deletion_asks_and_takes_the_run_alone(place, capsys):
    asked = []

    def no(question):
        asked.append(question)
        return ""

    options = RunsOptions(folder=str(place), delete=("first",))
    runs.run(options, ask=no)
    assert "first" in asked[0]
    assert (place / "first").is_dir()
    runs.run(options, ask=lambda _: "y")
    assert not (place / "first").exists()
    assert (place / "deep/second").is_dir()
    main(["runs", str(place), "--delete", "deep/second,third", "--yes"])
    assert "deleted" in capsys.readouterr().out
    assert sorted(file.name for file in place.iterdir()) == ["deep", "link", "none"]


def test_deletion_leaves_what_is_linked(place, tmp_path):
    outside = tmp_path / "precious"
    outside.mkdir()
    (outside / "file").write_text("x")
    (place / "first" / "data").mkdir(exist_ok=True)
    (place / "first" / "data" / "link").symlink_to(outside)
    runs.run(RunsOptions(folder=str(place), delete=("first",), yes=True))
    assert not (place / "first").exists()
    assert (outside / "file").read_text() == "x"


def refused(words, capsys):
    with pytest.raises(SystemExit):
        main(["runs", *words])
    return capsys.readouterr().err


def test_what_is_not_ours_is_not_deleted(place, capsys):
    assert "nobody can be asked" in refused([str(place), "--delete", "first"], capsys)
    (place / "first" / "notes.txt").write_text("mine")
    text = refused([str(place), "--delete", "third,first", "--yes"], capsys)
    assert "notes.txt: move these away first" in text
    assert "must name runs of the list" in refused([str(place), "--delete", "none"], capsys)
    assert "must name runs of the list" in refused([str(place), "--delete", "link"], capsys)
    assert "did you mean first?" in refused([str(place), "--compare", "frist,third"], capsys)
    assert (place / "third").is_dir()
    assert (place / "first" / "train").is_dir()


@pytest.mark.parametrize(
    "name",
    [
        "data/cat.png",
        "train/notes.txt",
        "train/labels.json",
        "export/A/notes.md",
        "report/a.html",
        "detect/A/x.png",
    ],
)
def test_files_of_others_inside_a_run_are_not_deleted(place, capsys, name):
    file = place / "first" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('{"mine": 1}')
    text = refused([str(place), "--delete", "first", "--yes"], capsys)
    assert f"{name}: move these away first" in text.replace("\n", " ")
    assert file.read_text() == '{"mine": 1}'
    file.unlink()
    main(["runs", str(place), "--delete", "first", "--yes"])
    assert not (place / "first").exists()


def test_a_project_with_folders_of_these_names_is_no_run(place, capsys):
    for name in ("train/config.json", "search/config.json", "data/a.csv"):
        file = place / "project" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('{"batch_size": 8}')
    assert "must name runs of the list" in refused([str(place), "--delete", "project"], capsys)
    assert (place / "project/train/config.json").exists()


def test_a_whole_run_with_all_that_commands_make_is_deleted(trained_run, tiny_images, tmp_path):
    run = shutil.copytree(trained_run, tmp_path / "whole")
    one = ["--threads", "1"]
    main(["report", "--run", str(run), *one])
    main(["export", str(run), "--to", "safetensors", *one])
    main(["evaluate", str(run), *one])
    exported = sorted(run.glob("export/*/*.safetensors"))[0]
    main(["evaluate", str(exported), "--data.path", str(tiny_images), *one])
    contents = {"detector.safetensors": b"weights", "found.json": b"[]"}
    write_own(run / "detect/A", contents, record="detection.json", value={"command": "detect"})
    (run / "detect/B").mkdir()
    (run / "detect/B/state.safetensors").write_text("begun")
    (run / "search" / ".stnas-host-1-2-3.part").write_text("half")
    (run / "train" / "state.safetensors").write_text("damaged")
    main(["runs", str(tmp_path), "--delete", "whole", "--yes"])
    assert not run.exists()


def test_a_run_in_use_is_not_deleted(place, capsys):
    lock = Lock(place / "third" / ".lock")
    assert lock.take() is None
    try:
        text = refused([str(place), "--delete", "third", "--yes"], capsys)
    finally:
        lock.release()
    assert "in use by another process" in text
    assert (place / "third" / "train").is_dir()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--compare", "a"], "compare must be two runs or more"),
        (["--compare", "a,b", "--delete", "c"], "delete must be left out with compare"),
        (["--sort", "colour"], "sort must be one of"),
        (["a", "b"], "unexpected word 'b'"),
    ],
)
def test_wrong_words(words, message):
    with pytest.raises((ValueError, UsageError), match=message):
        parse(["runs", *words])


def test_a_folder_that_is_not_there_is_named(tmp_path, capsys):
    assert "which does not exist" in refused([str(tmp_path / "x")], capsys)
