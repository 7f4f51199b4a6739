"""Commands beside the stages read what was written and write where nothing of others is."""

import json
import os
import shutil
from pathlib import Path

import pytest
from squares import SMALL

import stnas
from stnas.cli import main
from stnas.store.files import read_json, write_json
from stnas.store.listing import listed
from stnas.store.own_files import check_own
from stnas.store.tensors import read_tensors, write_tensors

ONE = ["--threads", "1"]
LATENCY = ["--networks", "12", "--rounds", "1", "--backend", "eager"]
TO = ["--to", "safetensors"]
DETECTOR = [f"--{name}={value}" for name, value in SMALL.items()]


@pytest.fixture
def run(trained_run, tmp_path):
    """Copy a whole run, without what other tests have left beside its stages."""
    beside = shutil.ignore_patterns("export", "evaluate", "latency", "detect")
    return Path(shutil.copytree(trained_run, tmp_path / "run", ignore=beside))


@pytest.fixture
def other(run, tmp_path):
    """Copy it as the run of another seed."""
    copy = Path(shutil.copytree(run, tmp_path / "other"))
    for record in copy.glob("*/config.json"):
        origin = f"{int(read_json(record)['origin'], 16) ^ 1:016x}"
        result = record.with_name("result.json")
        write_json(record, {**read_json(record), "seed": 99, "origin": origin})
        write_json(result, {**read_json(result), "origin": origin})
    return copy


def refused(capsys, *words):
    """Return the one line that a command is refused with."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    assert stop.value.code == 1
    return " ".join(capsys.readouterr().err.split())


def words_of(command, request):
    """Return what a command is given behind a network; one about boxes skips where it cannot be."""
    if command == "detect":
        return ["--coco", request.getfixturevalue("squares"), *DETECTOR, *ONE]
    return {"evaluate": ONE, "predict": [os.devnull], "export": [*TO, *ONE]}[command]


@pytest.fixture(params=["evaluate", "predict", "export", "detect"])
def words(request, run):
    """Give every command about a network of a run."""
    return [request.param, run, *words_of(request.param, request)]


@pytest.mark.parametrize("name", ["network.safetensors", "network.json"])
@pytest.mark.parametrize("fault", ["gone", "cut", "of another", "pipe"])
def test_a_network_that_is_not_as_it_was_left_is_named(run, words, capsys, name, fault):
    for folder in (run / "retrain").glob("?"):
        file = folder / name
        content = file.read_bytes()
        file.unlink()
        if fault == "cut":
            file.write_bytes(content[:-20])
        elif fault == "of another":
            file.write_bytes((run / f"retrain/{folder.name}-random-1" / name).read_bytes())
        elif fault == "pipe":
            os.mkfifo(file)
    told = refused(capsys, *words)
    assert str(run / "retrain") in told or name in told
    for load in (stnas.load, stnas.load_network):
        with pytest.raises((FileNotFoundError, ValueError)):
            load(run / "retrain/A")
    assert not list(run.glob("[de]*/*/*"))


def test_the_weights_of_another_training_of_the_same_network_are_refused(run):
    file = run / "retrain/A/network.safetensors"
    tensors, metadata = read_tensors(file)
    del metadata["version"]
    write_tensors(file, tensors, **{**metadata, "origin": "0" * 16})
    (run / "retrain/result.json").unlink()
    for load in (stnas.load, stnas.load_network):
        with pytest.raises(ValueError, match="holds origin 0000000000000000 and not"):
            load(run / "retrain/A")


def test_a_network_folder_stands_on_its_own(run, tmp_path):
    alone = shutil.copytree(run / "retrain/A", tmp_path / "nets/A")
    for name in ("result.json", "config.json"):
        (tmp_path / "nets" / name).write_text("of another program")
    assert stnas.load(alone).classes == stnas.load(run / "retrain/A").classes


@pytest.mark.parametrize("stage", ["train", "search", "retrain"])
def test_a_stage_of_another_run_is_named(run, other, capsys, stage):
    """Its whole folder, or its result alone."""
    kept = run.with_name("kept")
    shutil.copytree(run, kept)
    shutil.rmtree(run / stage)
    shutil.copytree(other / stage, run / stage)
    told = refused(capsys, "report", "--run", run)
    assert "tells of another run than" in told
    assert "seed: " in told
    shutil.copyfile(other / stage / "result.json", kept / stage / "result.json")
    told = refused(capsys, "report", "--run", kept)
    assert f"{kept / stage / 'result.json'} belongs to another run" in told


def test_the_record_of_another_run_gives_no_preprocessing(run, other, words, capsys):
    shutil.copyfile(other / "retrain/config.json", run / "retrain/config.json")
    assert "result.json belongs to another run" in refused(capsys, *words)


def test_a_result_of_another_run_is_not_counted_or_measured(run, other, capsys):
    shutil.copyfile(other / "train/result.json", run / "train/result.json")
    genotype = read_json(run / "retrain/A/network.json")["genotype"]
    for words in (["count", genotype, "--run", run], ["latency", run, *LATENCY]):
        assert "result.json belongs to another run" in refused(capsys, *words)


@pytest.mark.parametrize(
    "name", ["report", "export", "export/A", "evaluate", "latency", "detect", "detect/A"]
)
def test_nothing_is_written_outside_a_run_through_a_link(run, tmp_path, capsys, request, name):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "README.md").write_text("precious")
    shutil.rmtree(run / name, ignore_errors=True)
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).symlink_to(victim)
    command = name.partition("/")[0]
    if command == "report":
        words = ["report", "--run", run]
    elif command == "latency":
        words = ["latency", run, *LATENCY]
    else:
        words = [command, run / "retrain/A", *words_of(command, request)]
    assert f"{run / name} must be a folder of its own" in refused(capsys, *words)
    assert [(file.name, file.read_text()) for file in victim.iterdir()] == [
        ("README.md", "precious")
    ]


@pytest.mark.parametrize("kind", ["file", "link", "folder", "pipe"])
@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("export", "README.md"),
        ("export", "card.json"),
        ("export", "A.safetensors"),
        ("evaluate", "evaluation.html"),
        ("evaluate", "evaluation.json"),
        ("detect", "detector.safetensors"),
        ("detect", "detection.json"),
    ],
)
def test_what_lies_in_a_place_to_write_is_not_overwritten(
    run, tmp_path, capsys, request, command, name, kind
):
    place, victim = tmp_path / "mine" / name, tmp_path / "victim"
    place.parent.mkdir()
    victim.write_text("precious")
    {
        "file": lambda: place.write_text("precious"),
        "link": lambda: place.symlink_to(victim),
        "folder": place.mkdir,
        "pipe": lambda: os.mkfifo(place),
    }[kind]()
    words = [command, run / "retrain/A", *words_of(command, request), "--output", place.parent]
    told = refused(capsys, *words)
    assert str(place) in told
    assert "move it away" in told
    assert victim.read_text() == "precious"
    assert kind != "file" or place.read_text() == "precious"
    assert list(place.parent.iterdir()) == [place]
    place.rename(tmp_path / "away")
    main([str(word) for word in words])
    assert (tmp_path / "mine" / name).is_file()


def test_what_stnas_left_may_be_written_anew_unless_it_was_edited(run, tmp_path, capsys):
    words = ["export", run / "retrain/A", *TO, *ONE, "--output", tmp_path / "mine"]
    for _ in range(2):
        main([str(word) for word in words])
    card = json.loads((tmp_path / "mine/card.json").read_text())
    assert set(card["files"]) == {"A.safetensors", "README.md"}
    with (tmp_path / "mine/README.md").open("a") as file:
        file.write("Written for the museum.\n")
    told = refused(capsys, *words)
    assert f"{tmp_path / 'mine/README.md'} is there and is not as stnas left it" in told
    assert "museum" in (tmp_path / "mine/README.md").read_text()


def test_another_form_comes_beside_the_first(run, tmp_path):
    words = ["export", str(run / "retrain/A"), *ONE, "--output", str(tmp_path / "mine")]
    for form in ("safetensors", "torch-export", "safetensors"):
        main([*words, "--to", form])
    card = json.loads((tmp_path / "mine/card.json").read_text())
    assert set(card["files"]) == {"A.safetensors", "A.pt2", "README.md"}


def test_a_table_of_latencies_replaces_no_other_file(run, tmp_path, capsys):
    for file in (run / "train/result.json", tmp_path / "notes.json"):
        content = file.read_bytes() if file.exists() else b"{}"
        file.write_bytes(content)
        words = ["latency", run, *LATENCY, "--output", file]
        assert f"{file} is there and is not as stnas left it" in refused(capsys, *words)
        assert file.read_bytes() == content


def test_only_files_that_a_record_lists_are_own(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    write_json(tmp_path / "r", {"command": "x", "files": listed(tmp_path, [tmp_path / "a"])})
    check_own(tmp_path, ["a", "r", "c"], record="r")
    with pytest.raises(FileExistsError, match="b is there and is not as stnas left it"):
        check_own(tmp_path, ["a", "b"], record="r")
    write_json(tmp_path / "r", {"files": listed(tmp_path, [tmp_path / "a"])})
    with pytest.raises(FileExistsError, match="a is there"):
        check_own(tmp_path, ["a"], record="r")


def test_a_run_that_a_release_with_more_options_goes_on_with_is_still_one(run):
    record = run / "train" / "config.json"
    found = read_json(record)
    del found["train"]["label_smoothing"]
    write_json(record, found)
    assert stnas.Run(run).front
