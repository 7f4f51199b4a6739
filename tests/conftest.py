"""Settings for every test, and a run that is small enough to train in a second."""

import itertools
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# A test's own interpreters import the package that is installed, not the folder that they start in.
os.environ["PYTHONSAFEPATH"] = "1"

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image
from quarters import write_quarters
from squares import write_squares

from stnas import retrain, search, sgld, train
from stnas.config import (
    Config,
    DataConfig,
    RetrainConfig,
    SearchConfig,
    SgldConfig,
    SpaceConfig,
    TrainConfig,
    VerdictConfig,
)
from stnas.config.settling import dali_is_installed
from stnas.detect.installed import check_installed
from stnas.group.processes import ProcessGroup
from stnas.group.torchrun import joined
from stnas.learn.evaluation import recalibrate_
from stnas.store.files import read_json, read_rows
from stnas.store.names import STATE
from stnas.store.tensors import read_tensors

TESTS = Path(__file__).parent
QUICK = (TESTS / "quick.txt").read_text().split()
"""What ``pytest -m quick`` runs, by how its names begin: every package, in under a minute."""
# Tests send SIGHUP, which a shell may have let this process ignore (nohup).
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# The machines that run these tests are shared: a slow example is not a failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the quick tests, and skip those that need DALI where it is not installed."""
    without = pytest.mark.skip(reason="NVIDIA DALI is not installed: pip install 'stnas[dali]'")
    there = dali_is_installed()
    for item in items:
        name = item.nodeid.removeprefix(f"{TESTS.name}/")
        if name.startswith(tuple(QUICK)):
            item.add_marker(pytest.mark.quick)
        words = getattr(getattr(item, "callspec", None), "params", {}).values()
        needs = any(isinstance(word, str) and word == "dali" for word in words)
        if not there and (needs or item.get_closest_marker("dali")):
            item.add_marker(without)


@pytest.fixture(scope="session")
def quick_tests() -> list[str]:
    """Give what the names of the quick tests begin with."""
    return QUICK


@pytest.fixture(scope="session")
def tiny_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write 12x12 grey images of four classes: noise with one bright quarter."""
    path = tmp_path_factory.mktemp("images") / "quarters.npz"
    write_quarters(path, size=12, train=480, test=120)
    return path


@pytest.fixture(scope="session")
def tiny_photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write JPEG images of 24 to 40 pixels a side, of three classes told apart by a colour."""
    root, rng = tmp_path_factory.mktemp("jpeg"), np.random.default_rng(0)
    for part, count in (("train", 14), ("val", 4)):
        for label, name in enumerate(("blue", "green", "red")):
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 120, (*rng.integers(24, 41, 2), 3))
                pixels[:, :, label] += 100
                image = Image.fromarray(pixels.astype(np.uint8))
                image.save(root / part / name / f"{i}.jpg", quality=90)
    return root


@pytest.fixture(scope="session")
def tiny_settings(tiny_images: Path) -> Config:
    """Configure a run of a few seconds, without its folder: 5 nodes, 9 edges, 432 images."""
    return Config(
        seed=3,
        space=SpaceConfig(
            profile="nano", stages=(3, 2), widths=(8, 12), tail_width=16, stem_stride=1
        ),
        data=DataConfig(path=str(tiny_images), flip=False, crop_padding=0),
        train=TrainConfig(epochs=3, batch_size=16, learning_rate=1.0),
        sgld=SgldConfig(samples=3),
        search=SearchConfig(population=4, generations=3, recalibration_images=96),
        verdict=VerdictConfig(candidates=0),
        retrain=RetrainConfig(epochs=2, batch_size=16, learning_rate=0.1, warmup_epochs=0.5),
    )


@pytest.fixture
def tiny_config(tiny_settings: Config, tmp_path: Path) -> Config:
    """Configure a run of a few seconds in a folder of the test."""
    return replace(tiny_settings, run=str(tmp_path / "run"))


TIMES = ("seconds", "time", "images_per_second", "files")


def timeless(value: Any) -> Any:
    """Return a JSON value without the times in it, and the digests of files that hold some."""
    if isinstance(value, dict):
        return {name: timeless(item) for name, item in value.items() if name not in TIMES}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def results(run: Path) -> dict[str, Any]:
    """Read all that a run is to give: every file but those of the log and the page, less times."""
    found: dict[str, Any] = {}
    for file in sorted(run.rglob("[!.]*.*")):
        name = file.relative_to(run).as_posix()
        if file.suffix == ".safetensors":
            tensors, metadata = read_tensors(file)
            bits = {key: (t.dtype, t.shape, t.numpy().tobytes()) for key, t in tensors.items()}
            found[name] = (bits, metadata)
        elif file.suffix in (".json", ".jsonl"):
            found[name] = timeless(read_json(file) if file.suffix == ".json" else rows(file))
    return found


def rows(file: Path) -> list[dict[str, Any]]:
    """Read rows in an order that does not depend on when they were written again."""
    found = read_rows(file, origin=None)
    return sorted(found, key=repr) if file.name == "metrics.jsonl" else found


@pytest.fixture(scope="session")
def results_of() -> Callable[[Path], dict[str, Any]]:
    """Give what reads the results of a run."""
    return results


@contextmanager
def after_states(act: Callable[[Path, int], None]) -> Iterator[None]:
    """Call a function after every state that a stage has put in its place: path, how many."""
    original, done = os.replace, itertools.count(1)

    def replaced(source: Any, target: Any, **more: Any) -> None:
        original(source, target, **more)
        if Path(target).name == STATE:
            act(Path(target), next(done))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", replaced)
        yield


@pytest.fixture(scope="session")
def at_states() -> Callable[[Callable[[Path, int], None]], AbstractContextManager[None]]:
    """Give what acts after every saved state, as a kill or a damage may come at any time."""
    return after_states


FORK = multiprocessing.get_context("fork")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def enter(rank: int, size: int, port: int, timeout: float, work: Any, answers: Any) -> None:
    place = {"RANK": rank, "WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()})
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    try:
        with joined(timeout) as group:
            answers.put((rank, work(group)))
    except BaseException as error:
        answers.put((rank, f"{type(error).__name__}: {error}"))


def run_in_processes(size: int, work: Callable[[ProcessGroup], Any], *, timeout: float = 60):
    """Return what a function of the group gives, or the error it ends with, by rank."""
    answers, port = FORK.Queue(), free_port()
    options = [(rank, size, port, timeout, work, answers) for rank in range(size)]
    workers = [FORK.Process(target=enter, args=args, daemon=True) for args in options]
    for worker in workers:
        worker.start()
    found = dict(answers.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join(timeout=20)
        worker.kill()
    return [found[rank] for rank in range(size)]


@pytest.fixture
def in_processes():
    return run_in_processes


def cut_out_and_recalibrated(supernet, genotype, images):
    """Cut out a network with BN statistics of its own, as it is scored alone."""
    network = supernet.extract(genotype)
    recalibrate_(network, images)
    return network


@pytest.fixture(scope="session")
def calibrated():
    """Give what scores of architectures computed together are held against."""
    return cut_out_and_recalibrated


@pytest.fixture(scope="session")
def trained_run(tiny_settings: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a whole small run, which tests read and leave as it is."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    config = replace(tiny_settings, run=str(folder))
    for stage in (train, sgld, search, retrain):
        stage.run(config)
    return folder


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write pictures with boxes, where there is what computes detectors."""
    try:
        check_installed()
    except ImportError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("coco") / "squares"
    write_squares(folder)
    return folder
