"""Several processes under torchrun do what one does, and a lost one is replaced."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from stnas.cli import main

TINY = {
    "seed": 3,
    "threads": 1,
    "space": {"profile": "nano", "stages": [3, 2], "widths": [8, 12], "tail_width": 16},
    "data": {"train_limit": 160},
    "train": {"epochs": 2, "batch_size": 16, "learning_rate": 1.0, "micro_batches": 4},
    "sgld": {"samples": 2},
    "search": {"population": 8, "generations": 2, "recalibration_images": 64},
    "retrain": {"epochs": 1, "batch_size": 16, "warmup_epochs": 0.5, "micro_batches": 4},
}


@pytest.fixture(scope="module")
def options(tiny_images, tmp_path_factory):
    """Give the options of a run of seconds, from a YAML file."""
    file = tmp_path_factory.mktemp("options") / "tiny.yaml"
    file.write_text(yaml.safe_dump(TINY))
    return ["--config", str(file), "--data.path", str(tiny_images)]


def torchrun(size, words, *, restarts=0):
    """Start ``stnas`` in several processes."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    counts = [f"--nproc-per-node={size}", f"--max-restarts={restarts}"]
    return subprocess.Popen(
        [*launcher, *counts, "-m", "--", "stnas", *words],
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finished(process, code=0):
    out, _ = process.communicate(timeout=300)
    assert process.returncode == code, out
    return out


def made(run):
    """Read what does not hold a time."""
    files = [*run.rglob("*.safetensors"), run / "search/archive.jsonl", run / "search/front.json"]
    return {str(file.relative_to(run)): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def alone(options, tmp_path_factory):
    """Run all stages in this process."""
    run = tmp_path_factory.mktemp("alone") / "run"
    main(["run", *options, "--run", str(run)])
    return run


@pytest.mark.parametrize("size", [2, 4])
def test_a_whole_run_is_that_of_one_process_bit_for_bit(size, options, alone, tmp_path):
    out = finished(torchrun(size, ["run", *options, "--run", str(tmp_path / "run")]))
    assert f"in 4 parts of 4, each with BN statistics of its own; processes: {size}" in out
    assert out.count("epoch 2/2") == out.count("train: p_drop") == 1
    assert made(tmp_path / "run") == made(alone)
    assert (tmp_path / "run/report/report.html").exists()


def workers(launcher):
    """Find the processes that torchrun started, by rank."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    found = {}
    for child in map(int, children):
        words = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        values = dict(word.split(b"=", 1) for word in words if b"=" in word)
        if b"RANK" in values:
            found[int(values[b"RANK"])] = child
    return found


def test_a_worker_that_is_killed_is_replaced_and_nothing_changes(options, tmp_path):
    more = [*options, "--train.epochs", "8", "--train.micro_batches", "2"]
    main(["train", *more, "--run", str(tmp_path / "whole")])
    launcher = torchrun(2, ["train", *more, "--run", str(tmp_path / "run")], restarts=1)
    state = tmp_path / "run/train/state.safetensors"
    while not state.exists():
        assert launcher.poll() is None, launcher.communicate()[0]
        time.sleep(0.01)
    os.kill(workers(launcher)[1], signal.SIGKILL)
    out = finished(launcher)
    assert "stnas: error: rank 1 was lost" in out
    assert out.count("train: p_drop") == 2
    assert made_of(tmp_path / "run/train") == made_of(tmp_path / "whole/train")


def made_of(stage):
    return {file.name: file.read_bytes() for file in stage.rglob("*.safetensors")}


@pytest.mark.dali
def test_streamed_images_are_shared_out_and_give_the_same_weights(
    options, tiny_photographs, tmp_path
):
    images = ["--data.path", str(tiny_photographs), "--data.image_size", "16"]
    more = [*options, *images, "--data.backend", "dali", "--data.jitter", "0.2"]
    main(["train", *more, "--run", str(tmp_path / "alone")])
    out = finished(torchrun(2, ["train", *more, "--run", str(tmp_path / "run")]))
    assert out.count("images are streamed from") == 1
    assert made_of(tmp_path / "run") == made_of(tmp_path / "alone")
