"""Answers for image files, on the command line."""

import csv
import io
import json
import os

import numpy as np
import pytest
from PIL import Image

import stnas
from stnas.cli import main


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    names = ["a.png", "b.png", "c d.png"]
    for name in names:
        Image.fromarray(rng.integers(0, 256, (14, 20), dtype=np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    return [str(tmp_path / name) for name in names]


def test_all_forms_give_the_answers_of_the_module(files, trained_run, capsys):
    expected = stnas.load(trained_run).predict(files)
    main(["predict", str(trained_run), *files, "--answer", "json", "--top", "9"])
    for row, file, one in zip(json.loads(capsys.readouterr().out), files, expected, strict=True):
        assert row["file"] == file
        assert row["classes"] == pytest.approx(one.probabilities)
    main(["predict", str(trained_run), *files, "--answer", "csv", "--top", "2"])
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["class_1"] for row in rows] == [one.name for one in expected]
    assert [row["file"] for row in rows] == files


def test_the_table_numbers_its_answers(files, trained_run, capsys):
    main(["predict", str(trained_run), files[0], "--top", "3"])
    head = capsys.readouterr().out.splitlines()[1]
    cells = [cell.strip() for cell in head.strip("┃").split("┃")]
    assert cells == ["file", "answer 1", "answer 2", "answer 3"]


def test_a_folder_means_its_images(files, trained_run, tmp_path, capsys):
    main(["predict", str(trained_run), str(tmp_path), "--answer", "json"])
    assert [row["file"] for row in json.loads(capsys.readouterr().out)] == files


def test_broken_files_are_named_after_the_answers(files, trained_run, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["predict", str(trained_run), str(tmp_path / "notes.txt"), files[0]])
    said = capsys.readouterr()
    assert "a.png" in said.out
    assert "notes.txt (not a PNG" in " ".join(said.err.split())


def test_what_is_no_file_is_named_and_not_waited_for(files, trained_run, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(SystemExit):
        main(["predict", str(trained_run), str(tmp_path / "pipe.png"), os.devnull, files[0]])
    said = " ".join(capsys.readouterr().err.split())
    assert "pipe.png (it is no file but a named pipe)" in said
    assert f"{os.devnull} (it is no file but a device)" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "files must be one image or more, got none"),
        (["EMPTY"], "which holds no PNG"),
        (["a.png", "--top", "0"], "top must be 1 or more"),
        (["a.png", "--answer", "xml"], "answer must be one of table, csv, json"),
    ],
)
def test_wrong_words_are_refused(words, message, trained_run, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    places = {"EMPTY": str(tmp_path / "empty")}
    with pytest.raises(SystemExit):
        main(["predict", str(trained_run), *(places.get(word, word) for word in words)])
    assert message in " ".join(capsys.readouterr().err.split())
