"""What a stage tells: numbers that cannot be written stop nothing, progress stays in its bounds."""

import errno
import io
import math
import os

import pytest
from rich.console import Console

from stnas.store import journal as told
from stnas.store import metrics
from stnas.store.advice import advice
from stnas.store.files import read_rows, write_text
from stnas.store.journal import Chapter, Journal
from stnas.store.run_folder import RunFolder


@pytest.fixture
def run(tiny_config):
    with RunFolder(tiny_config) as folder:
        yield folder


def rows_of(run):
    return read_rows(run.path / "metrics.jsonl", origin=run.origin("train"))


def test_numbers_are_kept_in_rows_and_events_and_told(tiny_config, capsys):
    with RunFolder(tiny_config) as run:
        run.begin("train")
        with Journal(run, "train", total=2) as journal:
            journal.record(0, loss=1.5, accuracy=0.25, step=7)
            journal.record(0, loss=1.25, accuracy=0.5, step=7)
            Chapter(journal, "A", position=1, units=4).record(3, loss=0.5)
        first, second = rows_of(run)
    assert (first["loss"], first["network"], second["network"]) == (1.25, None, "A")
    out = capsys.readouterr().out
    assert "train epoch 1/2: loss 1.25, accuracy 50.00 %\n" in out
    assert "train/A epoch 4/4: loss 0.5\n" in out
    (events,) = (run.path / "tensorboard/train").iterdir()
    assert events.read_bytes().count(b"train/loss") == 2
    with RunFolder(tiny_config) as run, Journal(run, "train", total=2):
        pass
    (again,) = (run.path / "tensorboard/train").iterdir()
    assert again.read_bytes().count(b"train/loss") == 1
    assert again.read_bytes().count(b"train/A/loss") == 1


@pytest.mark.parametrize("number", [math.nan, math.inf, -1e300])
def test_a_number_of_any_size_is_no_error(run, number, capsys):
    with Journal(run, "train", total=1) as journal:
        journal.record(0, loss=number, accuracy=0.5)
    (row,) = rows_of(run)
    assert (row["loss"], row["accuracy"]) == (number if math.isfinite(number) else None, 0.5)
    assert "train epoch 1/1: loss" in capsys.readouterr().out


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_numbers_that_cannot_be_written_are_told_once(run, code, monkeypatch, capsys):
    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    with Journal(run, "train", total=9) as journal:
        journal.record(0, loss=1.0)
        with monkeypatch.context() as broken:
            broken.setattr(metrics, "write_rows", fail)
            broken.setattr(metrics.Events, "add", fail)
            for epoch in range(1, 5):
                journal.record(epoch, loss=1.0)
        journal.record(5, loss=1.0)
    out = capsys.readouterr().out
    assert out.count("cannot be written") == 2
    assert out.count(advice(OSError(code, ""))) == 2
    assert out.count("train epoch ") == 6
    assert len(rows_of(run)) == 6


@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "file"])
@pytest.mark.parametrize("name", ["metrics.jsonl", "tensorboard", "tensorboard/train"])
def test_a_wrong_thing_in_the_place_of_the_numbers_stops_nothing(run, name, kind, tmp_path, capsys):
    victim = tmp_path / "victim"
    victim.mkdir()
    place = run.path / name
    place.parent.mkdir(exist_ok=True)
    {
        "folder": place.mkdir,
        "pipe": lambda: os.mkfifo(place),
        "link": lambda: place.symlink_to(victim),
        "file": lambda: place.write_text("mine\n"),
    }[kind]()
    with Journal(run, "train", total=2) as journal:
        journal.record(0, loss=1.0)
        journal.record(1, loss=1.0)
    out = capsys.readouterr().out
    assert out.count("train epoch ") == 2
    fits = kind == "folder" and name != "metrics.jsonl"
    assert out.count("left out") + out.count("cannot be written") == (0 if fits else 1)
    if kind == "pipe":
        assert place.is_fifo()
    assert not list(victim.iterdir())


def test_progress_stays_within_its_total(run, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal = Console(file=io.StringIO(), force_terminal=True, width=120)
    monkeypatch.setattr(told, "CONSOLE", terminal)
    with Journal(run, "retrain", total=2) as journal:
        for done in (0.0, 0.5, 1.0, 2.0, 2.5):
            journal.progress(done, loss=1.0)
            journal._live.refresh()
        chapter = Chapter(journal, "[/b]", position=1, units=3)
        for done in (0.0, 2.9, 3.0):
            chapter.progress(done)
            journal._live.refresh()
    shown = terminal.file.getvalue()
    assert "epoch 2/2" in shown
    assert "epoch 3/2" not in shown
    assert "[/b] epoch 3/3" in shown
    assert "epoch 4/3" not in shown


NUMBERS = [
    (errno.ENOSPC, "free some space"),
    (errno.EDQUOT, "quota"),
    (errno.EFBIG, "ulimit -f"),
    (errno.ENAMETOOLONG, "shorter path"),
    (errno.EIO, "disk failed"),
    (errno.ENOLCK, "no locks"),
    (errno.EMFILE, "ulimit -n"),
    (errno.EROFS, "only be read"),
    (errno.EACCES, "check the permissions"),
]


@pytest.mark.parametrize(("code", "words"), NUMBERS)
def test_an_error_of_the_system_has_its_own_advice(code, words, tmp_path, monkeypatch):
    def fail(_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=words) as caught:
        write_text(tmp_path / "a.json", "x")
    assert ("check the permissions" in str(caught.value)) == (code == errno.EACCES)
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_too_long_is_said_to_be(tmp_path):
    with pytest.raises(OSError, match="choose a shorter path"):
        write_text(tmp_path / f"{'g' * 300}.json", "x")
