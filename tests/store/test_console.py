"""What people read: as it is, in any terminal, and never in the way of the work."""

import io
import os
import pty
import subprocess
import sys

import pytest

from stnas.store import console
from stnas.store.console import CONSOLE, folding_table, warn

PRINT = "from stnas.store.console import CONSOLE\n{}"


def run(code, **options):
    command = [sys.executable, "-c", PRINT.format(code)]
    return subprocess.run(command, capture_output=True, check=False, **options)


@pytest.mark.parametrize("text", ["a[/b]", "[bold]x[/bold]", "a:dog:b", "x" * 500, "[red]"])
def test_a_text_is_printed_as_it_is(text, capsys):
    CONSOLE.print(text, soft_wrap=True)
    assert capsys.readouterr().out == f"{text}\n"


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", rb"caf\xe9 \u2014"), ("latin-1", b"caf\xe9 \\u2014")]
)
def test_what_an_encoding_lacks_is_shown_by_its_number(encoding, shown):
    done = run(r"CONSOLE.print('caf\xe9 \u2014')", env={**os.environ, "PYTHONIOENCODING": encoding})
    assert done.stdout.strip() == shown
    assert done.returncode == 0


def test_a_name_that_is_not_utf_8_keeps_its_bytes():
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    done = run(r"CONSOLE.print('a\udcff\xe9')", env=environment)
    assert done.stdout.strip() == b"a\xff" + "é".encode()


def test_a_closed_pipe_lets_the_work_go_on():
    code = "import sys\nfor i in range(9): CONSOLE.print(i)\nprint('done', file=sys.stderr)"
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-c", PRINT.format(code)]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"done\n")


@pytest.mark.parametrize("place", ["/dev/full", None])
def test_a_full_disk_and_no_stream_let_the_work_go_on(place):
    code = "import sys\nfor i in range(9): CONSOLE.print(i)\nprint('done', file=sys.stderr)"
    closing = f"exec {sys.executable} -c '{PRINT.format(code.replace(chr(39), chr(34)))}' >"
    closing += "&-" if place is None else place
    done = subprocess.run(["sh", "-c", closing], stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"done\n")


def test_a_terminal_that_is_gone_lets_the_work_go_on(tmp_path):
    master, slave = pty.openpty()
    code = "import sys, time\nfor i in range(9): CONSOLE.print(i); time.sleep(0.05)\n"
    code += "open(sys.argv[1], 'w').close()"
    command = [sys.executable, "-c", PRINT.format(code), str(tmp_path / "done")]
    child = subprocess.Popen(command, stdout=slave, stderr=slave, stdin=slave)
    os.close(slave)
    os.read(master, 1)
    os.close(master)
    assert child.wait(timeout=60) == 0
    assert (tmp_path / "done").exists()


def test_a_reader_who_stops_reading_is_not_waited_for():
    code = "import sys\nfor i in range(3000): CONSOLE.print(f'{i:0100d}')\n"
    code += "print('done', file=sys.stderr, flush=True)\nsys.stdin.read(1)\nCONSOLE.print('more')"
    command = [sys.executable, "-c", PRINT.format(code)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stderr.readline() == b"done\n"
        first = os.read(child.stdout.fileno(), 2**20)
        child.stdin.write(b"x")
        child.stdin.flush()
        rest = child.stdout.read()
    assert first.startswith(b"0" * 100 + b"\n")
    assert b"pieces of text were left out" in rest
    assert rest.endswith(b"more\n")


def test_a_warning_is_said_once(capsys, monkeypatch):
    monkeypatch.setattr(console, "_SAID", set())
    for _ in range(3):
        warn("mind the gap")
    assert capsys.readouterr().out == "mind the gap\n"


def test_cells_are_folded_and_not_cut(monkeypatch):
    made = folding_table("name", "value")
    made.add_row("x" * 70, "/a/very/long/path" * 9)
    wide = console.Console(width=40, file=io.StringIO())
    wide.print(made)
    shown = wide.file.getvalue()
    assert shown.count("x") == 70
    assert shown.count("/") == 36
    assert "…" not in shown
