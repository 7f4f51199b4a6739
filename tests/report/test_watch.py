"""A page that follows a running search."""

import shutil

import pytest

from stnas.cli import main
from stnas.cli.parser import parse
from stnas.config import Config
from stnas.report import watch
from stnas.store.files import write_json


def following(folder, steps):
    """Watch a folder; every pause does the next step. Returns what the page was at each pause."""
    seen, page = [], folder / "report/report.html"

    def pause(_):
        seen.append(page.read_text() if page.exists() else None)
        steps.pop(0)()

    watch(Config(run=str(folder)), pause=pause)
    assert steps == []
    return [*seen, page.read_text()]


def test_the_page_follows_until_the_run_is_complete(make_run, tmp_path):
    whole = make_run("whole")
    write_json(whole / "verdict/result.json", {
        "seconds": 1.0, "ends": [2], "candidates": [], "judged": [], "choices": [], "unmet": [],
    })  # fmt: skip
    folder = tmp_path / "run"
    (folder / "train").mkdir(parents=True)

    def comes(*names):
        def step():
            for name in names:
                shutil.copytree(whole / name, folder / name, dirs_exist_ok=True)

        return step

    def row():
        shutil.copy(whole / "metrics.jsonl", folder / "metrics.jsonl")

    steps = [comes("train"), row, comes("sgld", "search"), comes("verdict", "retrain")]
    before, trained, measured, searched, last = following(folder, steps)
    assert before is None
    assert "<body data-watched>" in trained
    assert measured != trained
    assert "Complete: train, sgld, search." in searched
    assert "data-watched" not in last.partition("<script")[0]
    assert "Network A: " in last


def test_no_run_is_an_error(tmp_path):
    with pytest.raises(SystemExit) as stop:
        main(["report", "--watch", "--run", str(tmp_path / "absent")])
    assert stop.value.code == 1


def test_the_switch_is_of_the_report_alone():
    assert parse(["report", "--watch"]).command == "watch"
    with pytest.raises(ValueError, match="unknown option --watch"):
        parse(["search", "--watch"])
    assert "--watch" in str(parse(["report", "--help"]).answer)
    assert "--watch" not in str(parse(["search", "--help"]).answer)
