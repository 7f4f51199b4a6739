"""Every call to the disk fails once, power goes at every call, memory runs out: nothing is lost.

After each the same command gives what an undisturbed run gives, bit for bit.
"""

import contextlib
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faulty_disk import Disk, ForgetfulDisk, PowerOffError
from squares import SMALL
from torch.utils._python_dispatch import TorchDispatchMode

from stnas import detect, evaluate, export, rank, report, retrain, search, sgld, train, verdict
from stnas.config import Config, RankConfig, VerdictConfig
from stnas.config.detect import DetectOptions
from stnas.config.evaluate import EvaluateOptions
from stnas.config.export import ExportOptions
from stnas.store.files import read_json
from stnas.store.run_folder import StageCompleteError

STAGES = {
    module.__name__.rpartition(".")[2]: module
    for module in (train, sgld, search, verdict, retrain, rank)
}
Command = Callable[[Config], None]
COMMANDS: dict[str, Command] = {
    "report": report.run,
    "export": lambda config: export.run(
        config, ExportOptions(network=config.run, to="safetensors", images=4), command="export"
    ),
    "evaluate": lambda config: evaluate.run(
        config, EvaluateOptions(network=config.run), command="evaluate"
    ),
}
"""What is done with a whole run, again and again."""
TIMED = ("latency_ms", "seconds", "test_seconds", "files", "before")
Results = dict[str, Any]


@pytest.fixture(params=[*COMMANDS, "detect"])
def command(request: pytest.FixtureRequest) -> Command:
    """Give what is done with a run; a detector is trained where there is what computes it."""
    if request.param in COMMANDS:
        return COMMANDS[request.param]
    coco = str(request.getfixturevalue("squares"))
    return lambda config: detect.run(
        config, DetectOptions(network=config.run, coco=coco, **SMALL), command="detect"
    )


@pytest.fixture(scope="module")
def config(tiny_settings: Config) -> Config:
    """Configure stages of two to four steps that save after each."""
    few = {"architectures": 4, "truth_epochs": 1, "ways": ("single", "none"), "resamples": 100}
    less = {"population": 3, "generations": 2, "recalibration_images": 32}
    return replace(
        tiny_settings,
        save_every=0.0,
        train=replace(tiny_settings.train, epochs=2, batch_size=216, checkpoints=1, ema=(0.9,)),
        sgld=replace(tiny_settings.sgld, samples=2),
        search=replace(tiny_settings.search, **less),
        retrain=replace(tiny_settings.retrain, epochs=1, batch_size=216, random_twins=0),
        verdict=VerdictConfig(candidates=2, epochs=1),
        rank=RankConfig(**few, shared_statistics_steps=0),  # type: ignore[arg-type]
    )


class Bench:
    """Runs stages again and again from the state before them.

    states: the run before a stage, and the results after it.
    """

    def __init__(self, config: Config, folder: Path, results_of: Callable[[Path], Results]) -> None:
        self.folder, self.results_of = folder / "run", results_of
        self.config = replace(config, run=str(self.folder))
        self.states: dict[str, tuple[Path, Results]] = {}
        for name in STAGES:
            before = folder / name
            if self.folder.exists():
                shutil.copytree(self.folder, before)
            self.go_on(name)
            self.states[name] = before, results_of(self.folder)

    def begin(self, name: str) -> None:
        """Bring back the run before a stage."""
        before, _ = self.states[name]
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        if before.exists():
            shutil.copytree(before, self.folder, dirs_exist_ok=True)

    def go_on(self, name: str) -> None:
        """Run a stage, which may be complete."""
        try:
            STAGES[name].run(self.config)
        except StageCompleteError:
            return

    def error(self, name: str) -> str | None:
        """Run a stage; return the error of the system that ended it."""
        try:
            self.go_on(name)
        except OSError as error:
            return str(error)
        return None

    def calls(self, name: str, most: int) -> range:
        """Number the calls to the disk of an undisturbed stage, up to so many, evenly spread."""
        self.begin(name)
        with Disk(self.folder) as disk:
            self.go_on(name)
        assert disk.calls > 20
        return range(1, disk.calls + 1, -(-disk.calls // most))

    def differs(self, name: str, *, but: str = "") -> list[str]:
        """Go on with a stage; list the files that are not those of the undisturbed run.

        States and chains, which a complete stage needs no more, may be there still if they could
        not be removed.
        """
        self.go_on(name)
        found, expected = self.results_of(self.folder), self.states[name][1]
        names = (found.keys() | expected.keys()) - {but}
        names = {n for n in names if "/state." not in n and not n.startswith("rank/chains/")}
        return sorted(file for file in names if found.get(file) != expected.get(file))


@pytest.fixture(scope="module")
def bench(
    config: Config,
    tmp_path_factory: pytest.TempPathFactory,
    results_of: Callable[[Path], Results],
) -> Bench:
    """Run all stages once."""
    return Bench(config, tmp_path_factory.mktemp("bench"), results_of)


@pytest.mark.parametrize(("name", "most"), [(n, 999 if n == "train" else 10) for n in STAGES])
def test_every_call_to_the_disk_may_fail(bench: Bench, name: str, most: int) -> None:
    """A stage names the cause; a row of numbers, which only inform, may be told and dropped."""
    for number in bench.calls(name, most):
        bench.begin(name)
        with Disk(bench.folder, at=number) as disk:
            told = bench.error(name)
        assert told is None or os.strerror(disk.code) in told, number
        assert bench.differs(name, but="metrics.jsonl") == [], number


@pytest.mark.parametrize(("name", "most"), [(n, 40 if n == "train" else 8) for n in STAGES])
def test_power_may_go_at_every_call(bench: Bench, name: str, most: int) -> None:
    """Contents of files and names in folders that were not synced are gone then."""
    for number in bench.calls(name, most):
        bench.begin(name)
        with (
            pytest.raises(PowerOffError),
            ForgetfulDisk(bench.folder, at=number) as disk,
        ):
            bench.go_on(name)
        disk.restore()
        assert bench.differs(name) == [], number


@pytest.mark.parametrize("name", STAGES)
def test_what_is_complete_outlasts_a_loss_of_power(bench: Bench, name: str) -> None:
    bench.begin(name)
    with ForgetfulDisk(bench.folder, at=10**9) as disk:
        bench.go_on(name)
    disk.restore()
    with pytest.raises(StageCompleteError):
        STAGES[name].run(bench.config)
    assert bench.differs(name) == []


class Memory(TorchDispatchMode):
    """Counts torch's operators; the one of a number finds no memory."""

    def __init__(self, at: int = 0) -> None:
        super().__init__()
        self.at, self.calls = at, 0

    def __torch_dispatch__(self, function, types, words=(), more=None):
        self.calls += 1
        if self.calls == self.at:
            raise MemoryError("no memory for a tensor")
        return function(*words, **(more or {}))


@pytest.mark.parametrize("name", STAGES)
def test_memory_may_run_out_at_any_operator(bench: Bench, name: str) -> None:
    bench.begin(name)
    with Memory() as counted:
        bench.go_on(name)
    assert counted.calls > 20
    for number in range(1, counted.calls, max(1, counted.calls // 5)):
        bench.begin(name)
        with pytest.raises((MemoryError, RuntimeError)), Memory(number):
            bench.go_on(name)
        assert bench.differs(name) == [], number


def written(config: Config) -> Results:
    """Return what the commands have written, but for times that were measured and their digests."""
    places = [*config.folder.glob("e*/*/*.json"), *config.folder.glob("d*/*/detection.json")]
    cards = {f: read_json(f) for f in places}
    pages = [file for file in config.folder.glob("[er]*/*.html")]
    pages += [*config.folder.glob("[de]*/*/*.[hs]*"), *config.folder.glob("d*/*/found.json")]
    found: Results = {file.name: file.read_bytes() for file in pages}
    return found | {
        file.name: {name: card[name] for name in card if name not in TIMED}
        for file, card in cards.items()
    }


@pytest.mark.parametrize("faulty", [Disk, ForgetfulDisk])
def test_what_is_done_with_a_whole_run_may_be_done_again(
    bench: Bench, command: Command, faulty: type[Disk]
) -> None:
    """After a call that fails, or power that goes; every other time over what was written once."""
    config = bench.config
    bench.begin("rank")
    with Disk(bench.folder) as disk:
        command(config)
    expected, calls = written(config), disk.calls
    assert expected
    late = calls - 30
    for number in [*range(1, late, calls // 4), *range(late, calls + 1, 3)]:
        if number % 2:
            bench.begin("rank")
        with (
            contextlib.suppress(OSError, PowerOffError),
            faulty(bench.folder, at=number) as disk,
        ):
            command(config)
        if isinstance(disk, ForgetfulDisk):
            disk.restore()
        command(config)
        assert written(config) == expected, number


@pytest.mark.parametrize("name", COMMANDS)
def test_memory_that_runs_out_leaves_what_was_written(bench: Bench, name: str) -> None:
    command, config = COMMANDS[name], bench.config
    bench.begin("rank")
    with Memory() as counted:
        command(config)
    expected = written(config)
    for number in range(1, counted.calls + 1, max(1, counted.calls // 4)):
        with pytest.raises((MemoryError, RuntimeError)), Memory(number):
            command(config)
        assert written(config) == expected, number


def test_memory_may_run_out_while_a_detector_is_trained(bench: Bench, squares: Path) -> None:
    config = bench.config
    options = DetectOptions(network=config.run, coco=str(squares), **SMALL)
    bench.begin("rank")
    with Memory() as counted:
        detect.run(config, options, command="detect")
    expected = written(config)
    for number in range(1, counted.calls + 1, counted.calls // 6):
        bench.begin("rank")
        with pytest.raises((MemoryError, RuntimeError)), Memory(number):
            detect.run(config, options, command="detect")
        detect.run(config, options, command="detect")
        assert written(config) == expected, number
