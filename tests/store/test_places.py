"""Nothing that is not the program's own is opened, emptied or removed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stnas.store.checksum import DamagedError
from stnas.store.files import read_json, read_rows, scan_rows, write_json, write_text
from stnas.store.lock import Lock
from stnas.store.metrics import Metrics
from stnas.store.places import beside, check_own_folders, host, sweep
from stnas.store.settings import check_settings


@pytest.fixture(scope="module")
def gone():
    """Give the number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        return process.pid


def part(host_name, pid, token="0" * 16):
    return f".stnas-{host_name}-{pid}-{token}.part"


def test_a_sweep_removes_what_processes_of_this_host_left_that_are_gone(tmp_path, gone):
    node, start, space = host().rsplit("-", 2)
    namesake = f"{node}-{int(start, 16) ^ 1:08x}-{space}"
    own, other = part(host(), gone), part("elsewhere-1-1", gone)
    alive, self_made = part(host(), os.getppid()), part(host(), os.getpid())
    foreign = [".env.20240101", ".a.json.123", f".stnas-{gone}", f"a{own}", f"{own}.bak", ".lock"]
    kept = {other, part(namesake, gone), alive, self_made, part(host(), gone, "0" * 15), *foreign}
    for place in (tmp_path, tmp_path / "A"):
        place.mkdir(exist_ok=True)
        for name in (own, *kept):
            (place / name).write_text("")
    sweep(tmp_path)
    for place in (tmp_path, tmp_path / "A"):
        assert {file.name for file in place.iterdir() if not file.is_dir()} == kept


def test_a_sweep_follows_no_link_and_removes_regular_files_alone(tmp_path, gone):
    victim, own = tmp_path / "victim", part(host(), gone)
    (victim / "inside").mkdir(parents=True)
    (victim / own).write_text("")
    (victim / "inside" / own).write_text("")
    run = tmp_path / "run"
    run.mkdir()
    (run / "train").symlink_to(victim)
    (run / own).symlink_to(victim / own)
    (run / part(host(), gone, "1" * 16)).mkdir()
    sweep(run)
    sweep(run / "train")
    assert (victim / own).exists()
    assert (victim / "inside" / own).exists()
    assert (run / own).is_symlink()
    assert (run / part(host(), gone, "1" * 16)).is_dir()


def test_names_of_files_to_write_first_are_never_the_same(tmp_path):
    names = {beside(tmp_path / "a").name for _ in range(100)}
    assert len(names) == 100
    assert all(len(name) < 128 for name in names)


def test_a_link_in_a_files_place_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "a.json").symlink_to("victim")
    write_json(tmp_path / "a.json", {"x": 1})
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "a.json").is_symlink()


@pytest.mark.parametrize("kind", ["folder", "named pipe"])
def test_what_is_no_file_is_an_error_and_not_a_wait(tmp_path, kind):
    path = tmp_path / "a.json"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    for use in (
        read_json,
        scan_rows,
        check_settings,
        lambda place: write_json(place, {}),
        lambda place: write_text(place, ""),
    ):
        with pytest.raises(DamagedError, match=rf"a\.json must be a file, got a {kind}: move it"):
            use(path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_of_the_run_that_is_a_link_is_refused(tmp_path):
    (tmp_path / "else").mkdir()
    (tmp_path / "run/retrain").mkdir(parents=True)
    check_own_folders(tmp_path / "run", ["train", "retrain"])
    (tmp_path / "run/retrain/A").symlink_to(tmp_path / "else")
    with pytest.raises(ValueError, match=r"retrain/A must be a folder of its own, got a symbolic"):
        check_own_folders(tmp_path / "run", ["train", "retrain"])


def test_a_lock_tells_who_holds_it_until_it_is_released(tmp_path):
    first, second = Lock(tmp_path / ".lock"), Lock(tmp_path / ".lock")
    assert first.take() is None
    assert second.take() == (tmp_path / ".lock").read_text().strip()
    assert f"process {os.getpid()} on " in (tmp_path / ".lock").read_text()
    first.release(remove=True)
    assert not (tmp_path / ".lock").exists()
    assert second.take() is None
    second.release()
    assert (tmp_path / ".lock").exists()


def test_two_never_hold_a_lock_whose_file_was_removed(tmp_path, monkeypatch):
    first, second, third = (Lock(tmp_path / ".lock") for _ in range(3))
    assert first.take() is None
    descriptor = os.open(tmp_path / ".lock", os.O_RDWR)
    opened = iter([descriptor])
    real = Lock._open
    monkeypatch.setattr(Lock, "_open", lambda own: next(opened, None) or real(own))
    first.release(remove=True)
    assert second.take() is None
    assert third.take() is not None
    second.release()


@pytest.mark.parametrize("make", ["link", "second name", "folder", "pipe", "content"])
def test_a_lock_that_is_not_the_programs_is_refused_and_left_alone(tmp_path, make):
    lock, victim = tmp_path / ".lock", tmp_path / "victim"
    victim.write_text("precious")
    {
        "link": lambda: lock.symlink_to(victim),
        "second name": lambda: os.link(victim, lock),
        "folder": lock.mkdir,
        "pipe": lambda: os.mkfifo(lock),
        "content": lambda: lock.write_text("poetry 1.8"),
    }[make]()
    with pytest.raises(OSError, match=r"\.lock must be .*(remove|move) it"):
        Lock(lock).take()
    assert victim.read_text() == "precious"
    assert make != "content" or lock.read_text() == "poetry 1.8"


def test_a_dangling_link_makes_no_file(tmp_path):
    (tmp_path / ".lock").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OSError, match="a symbolic link"):
        Lock(tmp_path / ".lock").take()
    assert not Path(tmp_path / "nowhere").exists()


def test_numbers_of_others_are_left_as_they_are(tmp_path):
    told = []
    for content in ("step,loss\n1,0.5\n", '{"loss": 0.5}\n{"loss": 0.4}\n'):
        (tmp_path / "metrics.jsonl").write_text(content)
        metrics = Metrics(tmp_path, "train", unit="epoch", origin="x", tell=told.append)
        metrics.record(0, network=None, numbers={"loss": 1.0})
        metrics.close()
        assert (tmp_path / "metrics.jsonl").read_text() == content
    assert len(told) == 2
    assert all("move it away" in line for line in told)


def test_numbers_of_an_earlier_configuration_give_way(tmp_path):
    for origin in ("x", "y"):
        metrics = Metrics(tmp_path, "train", unit="epoch", origin=origin, tell=lambda _: None)
        metrics.record(0, network=None, numbers={"loss": 1.0})
        metrics.close()
    assert len(read_rows(tmp_path / "metrics.jsonl", origin="y")) == 1
