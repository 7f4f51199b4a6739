"""A signal at any moment ends in one line and its exit status; so does an error of the system."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from stnas.cli import commands, main

SEND = """
import os, signal, sys
class Finder:
    def find_spec(self, name, *_):
        if name == {when!r}:
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Finder())
from stnas.cli import main
main(["train", "--run", {run!r}])
"""


def python(code):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.parametrize("when", ["stnas.cli.pipeline", "torch", "numpy", "torch.nn"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_modules_are_imported(when, number, tmp_path):
    done = python(SEND.format(when=when, number=int(number), run=str(tmp_path / "run")))
    assert done.returncode == 128 + number
    assert done.stderr == f"stnas: stopped by {number.name} before the work began\n"
    assert not (tmp_path / "run").exists()


TWICE = """
import os, signal
from stnas.cli import commands
from stnas.group.interruption import answer_with, stop_now
def run(words):
    answer_with(stop_now)
    os.kill(os.getpid(), {first})
commands.run_command = run
printed = commands.CONSOLE.print
def say(*words, **options):
    os.kill(os.getpid(), {second})
    printed(*words, **options)
commands.CONSOLE.print = say
commands.main(["train"])
"""


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_while_the_first_is_answered(second):
    done = python(TWICE.format(first=int(signal.SIGTERM), second=int(second)))
    assert done.returncode == 128 + second
    assert "Traceback" not in done.stderr + done.stdout


SWALLOWED = """
import os, signal, time
from stnas.cli import commands
from stnas.group.interruption import answer_with, stop_now
class Last:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000): pass
def run(words):
    answer_with(stop_now)
    last = Last()
    del last
    time.sleep(60)
commands.run_command = run
commands.main(["train"])
"""


def test_a_signal_that_a_finaliser_swallows_comes_again():
    done = python(SWALLOWED)
    assert done.returncode == 130
    assert done.stdout.startswith("stnas: stopped by SIGINT; what is done is saved")
    assert done.stderr == ""


def failing(error, monkeypatch, capsys):
    def run(words):
        raise error

    monkeypatch.setattr(commands, "run_command", run)
    with pytest.raises(SystemExit) as stop:
        main(["train"])
    assert stop.value.code == 1
    text = capsys.readouterr().err
    assert text.startswith("stnas: error: ")
    assert text.count("\n") == 1
    return text


ERRORS = [
    (MemoryError("Unable to allocate 648. KiB"), "out of memory (Unable to allocate 648. KiB)"),
    (MemoryError(), "lower train.batch_size"),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "lower train.batch_size"),
    (RuntimeError("std::bad_alloc"), "lower train.batch_size"),
    (OSError(errno.EMFILE, os.strerror(errno.EMFILE), "a.png"), "raise the limit on open files"),
    (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), "quota"),
    (BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)), "Broken pipe"),
    (OSError(errno.ENOLCK, os.strerror(errno.ENOLCK)), "no locks"),
    (ImportError("libgomp.so.1: cannot open shared object file"), "libgomp.so.1"),
    (ValueError("run [/x] :dog: must"), "run [/x] :dog: must\n"),
    (RecursionError("too deep"), "too deep"),
]


@pytest.mark.parametrize(("error", "words"), ERRORS, ids=lambda value: str(value)[:30])
def test_an_error_of_the_system_is_a_line_with_its_repair(error, words, monkeypatch, capsys):
    assert words in failing(error, monkeypatch, capsys)


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch):
    def run(words):
        raise AssertionError("never")

    monkeypatch.setattr(commands, "run_command", run)
    with pytest.raises(AssertionError):
        main(["train"])


def test_signals_are_answered_as_before_once_main_returns(monkeypatch):
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    monkeypatch.setattr(commands, "run_command", lambda words: None)
    main(["train"])
    after = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert after == before
