"""A stopped run goes on inside an epoch, and from the last state that is whole."""

import itertools
import os
import shutil
import signal
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from stnas import retrain, search, sgld, train
from stnas.group.interruption import Stopped
from stnas.store.checkpoint import Saver
from stnas.store.checksum import DamagedError
from stnas.store.files import read_json, write_json
from stnas.store.run_folder import RunFolder, StageCompleteError
from stnas.store.tensors import read_tensors, write_tensors
from stnas.supernet import SuperNet

STAGES = (train, sgld, search, retrain)


class KilledError(BaseException):
    """Stands for a kill, which nothing can catch."""


def run_all(config):
    for stage in STAGES:
        try:
            stage.run(config)
        except StageCompleteError:
            continue


@pytest.fixture(scope="module")
def finished(tiny_settings, tmp_path_factory, results_of):
    """Run all stages without a stop; give the folder and the results."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    run_all(replace(tiny_settings, run=str(folder)))
    return folder, results_of(folder)


@pytest.fixture
def whole(finished, tiny_config, tmp_path):
    """Copy a finished run to ``whole``; give the configuration of another run and the results."""
    shutil.copytree(finished[0], tmp_path / "whole")
    return replace(tiny_config, save_every=0.0), finished[1]


def unlisted(stage):
    """Take the list of files out of a stage's result, as version 1 had none."""
    found = read_json(stage / "result.json")
    write_json(stage / "result.json", {n: v for n, v in found.items() if n != "files"})


def killing(every, *, damage=lambda path: None):
    """Kill what runs after every so manieth state, which was damaged before."""

    def act(path, number):
        if number % every == 0:
            damage(path)
            raise KilledError

    return act


def run_with_kills(config, kills=0):
    try:
        run_all(config)
    except KilledError:
        return run_with_kills(config, kills + 1)
    return kills


def test_kills_in_every_epoch_change_nothing(whole, at_states, results_of):
    config, expected = whole
    with at_states(killing(19)):
        assert run_with_kills(config) > 10
    assert results_of(Path(config.run)) == expected


def test_the_state_before_is_used_where_the_last_is_damaged(whole, at_states, results_of, capsys):
    config, expected = whole

    def damage(path):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 4
        path.write_bytes(content)

    with at_states(killing(40, damage=damage)):
        kills = run_with_kills(config)
    assert results_of(Path(config.run)) == expected
    told = capsys.readouterr().out
    assert told.count("state.safetensors is damaged (its checksum is") == kills > 3
    assert "going on from" in told


@contextmanager
def at_steps(act):
    """Call a function before every step of a hyper-network: number, inputs; it gives the inputs."""
    numbers = itertools.count(1)

    def hook(module, inputs):
        return act(next(numbers), inputs) if isinstance(module, SuperNet) else None

    handle = register_module_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_leaves(tiny_config, number):
    """States are due after an epoch of 27 steps alone; the signal comes in the seventh step."""
    steps = []

    def act(nth, inputs):
        steps.append(nth)
        if nth == 7:
            os.kill(os.getpid(), number)
        return inputs

    with at_steps(act), pytest.raises(Stopped) as stop:
        train.run(replace(tiny_config, save_every=1e9))
    assert stop.value.number == number
    _, metadata = read_tensors(Path(tiny_config.run) / "train/state.safetensors")
    assert metadata["standing"]["steps"] == 7 == len(steps)


@pytest.fixture
def begun(tiny_config, at_states):
    """Give a run folder whose training has saved two states."""
    config = replace(tiny_config, save_every=0.0)
    with at_states(killing(3)), pytest.raises(KilledError):
        train.run(config)
    return config


def test_two_damaged_states_are_an_error_with_the_repair(begun):
    for name in ("state", "state.previous"):
        (Path(begun.run) / f"train/{name}.safetensors").write_bytes(b"x" * 99)
    text = r"state\.safetensors is damaged.*state\.previous\.safetensors is damaged.*delete what"
    with pytest.raises(DamagedError, match=text):
        train.run(begun)


def test_a_state_of_another_run_is_refused(begun, tmp_path):
    other = replace(begun, run=str(tmp_path / "other"), seed=8)
    (tmp_path / "other/train").mkdir(parents=True)
    for name in ("state.safetensors", "state.previous.safetensors"):
        (Path(begun.run) / "train" / name).rename(tmp_path / "other/train" / name)
    with RunFolder(other) as run, pytest.raises(FileNotFoundError, match=r"config\.json is missi"):
        run.check("train")
    for file in (tmp_path / "other/train").iterdir():
        file.rename(tmp_path / file.name)
    with RunFolder(other) as run:
        run.begin("train")
    for name in ("state.safetensors", "state.previous.safetensors"):
        (tmp_path / name).rename(tmp_path / "other/train" / name)
    with pytest.raises(ValueError, match=r"state\.safetensors belongs to another run"):
        train.run(other)


def test_a_state_that_is_not_finite_is_not_saved(begun):
    path = Path(begun.run) / "train/state.safetensors"
    before = path.read_bytes()
    saver = Saver(
        path, every=0.0, origin="", tensors=lambda: {"w": torch.tensor([1.0, -torch.inf])}
    )
    text = r"w is not finite .*last good state is .*state\."
    with pytest.raises(FloatingPointError, match=text), saver:
        saver.step()
    assert path.read_bytes() == before


def test_a_loss_that_is_not_finite_names_the_batch_and_the_state(begun):
    """Three steps are behind it; the images of the 28th that follows, step 30, are not finite."""

    def spoil(nth, inputs):
        return (inputs[0] * float("nan"), *inputs[1:]) if nth == 28 else inputs

    text = (
        r"the loss is nan at step 30 with the architecture st1-.*; batch 3 of epoch 1 has "
        r"16 images, rows \d+, .*the last good state is .*state\.safetensors"
    )
    with at_steps(spoil), pytest.raises(FloatingPointError, match=text):
        train.run(begun)
    _, metadata = read_tensors(Path(begun.run) / "train/state.safetensors")
    assert metadata["standing"]["steps"] == 30


def test_what_is_damaged_or_gone_is_made_again(whole, results_of, tmp_path, capsys):
    config, expected = whole
    config = replace(config, run=str(tmp_path / "whole"))
    run = tmp_path / "whole"
    for name in ("sgld/sample-001.safetensors", "retrain/A/network.safetensors"):
        (run / name).write_bytes((run / name).read_bytes()[:-1])
    (run / "sgld/mean.safetensors").unlink()
    for stage in ("sgld", "search", "retrain"):
        (run / stage / "result.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"sgld/result\.json is missing.*`stnas sgld"):
        search.run(config)
    run_all(config)
    told = capsys.readouterr().out
    assert "sample-001.safetensors is damaged" in told
    assert "network.safetensors is damaged" in told
    assert results_of(run) == expected


def test_a_damaged_archive_is_scored_again_from_there(whole, results_of, tmp_path, capsys):
    config, expected = whole
    run, archive = tmp_path / "whole", tmp_path / "whole/search/archive.jsonl"
    (run / "search/result.json").unlink()
    archive.write_text(archive.read_text().replace('"generation": 1', '"generation": 2', 1))
    search.run(replace(config, run=str(run)))
    assert "going on from the 4 before it" in capsys.readouterr().out
    assert results_of(run) == expected


def test_a_damaged_configuration_of_a_stage_is_replaced(whole, tmp_path, capsys):
    config, _ = whole
    run = tmp_path / "whole"
    (run / "train/config.json").write_text("{")
    with RunFolder(replace(config, run=str(run))) as folder:
        folder.result("train")
        folder.result("train")
    assert capsys.readouterr().out.count("config.yaml replaces it") == 1
    other = replace(config, run=str(run), seed=9)
    with RunFolder(other) as folder, pytest.raises(ValueError, match="seed: 3, now 9"):
        folder.result("train")


def test_files_of_another_run_are_refused(whole, tmp_path, results_of, capsys):
    config, expected = whole
    run = tmp_path / "whole"
    (run / "sgld/result.json").unlink()
    tensors, _ = read_tensors(run / "sgld/sample-001.safetensors")
    write_tensors(run / "sgld/sample-001.safetensors", tensors, sample=1, origin="0" * 16)
    sgld.run(replace(config, run=str(run)))
    assert "sample-001.safetensors belongs to another run: it is drawn" in capsys.readouterr().out
    assert results_of(run) == expected
    for stage, name in (("train", "weights"), ("sgld", "mean"), ("retrain", "A/network")):
        tensors, _ = read_tensors(run / stage / f"{name}.safetensors")
        write_tensors(run / stage / f"{name}.safetensors", tensors, origin="0" * 16)
        unlisted(run / stage)
        with (
            RunFolder(replace(config, run=str(run))) as folder,
            pytest.raises(DamagedError, match=rf"{name}\.safetensors belongs to another run"),
        ):
            folder.check(stage)
    write_json(run / "search/result.json", {"choices": [], "origin": "0" * 16})
    with pytest.raises(DamagedError, match=r"search/result\.json belongs to another run"):
        retrain.run(replace(config, run=str(run)))
