"""Run what was asked for: a stage, all of them, or a command beside them."""

import logging
import shlex
from collections.abc import Callable, Sequence

import torch

from stnas import (
    evaluate,
    export,
    init,
    latency,
    predict,
    rank,
    report,
    retrain,
    search,
    sgld,
    train,
    verdict,
)
from stnas.cli.count import count
from stnas.cli.doctor import doctor
from stnas.cli.layering import recipe_of
from stnas.cli.outcome import print_outcome
from stnas.cli.parser import Request
from stnas.config import Config
from stnas.config.words import suggestion
from stnas.group.processes import ProcessGroup, current
from stnas.group.torchrun import end, joined
from stnas.store.console import say, warn
from stnas.store.run_folder import StageCompleteError
from stnas.store.stages import BY_NAME, whole_run

STAGES: dict[str, Callable[..., None]] = {
    "train": train.run,
    "sgld": sgld.run,
    "search": search.run,
    "verdict": verdict.run,
    "rank": rank.run,
    "retrain": retrain.run,
    "report": report.run,
}

NETWORK_COMMANDS: dict[str, Callable[..., None]] = {
    "export": export.run,
    "evaluate": evaluate.run,
    "predict": predict.run,
    "latency": latency.run,
}
"""Commands about a trained network."""

CHECKS = {
    "train": train.check,
    "sgld": sgld.check,
    "search": search.check,
    "verdict": verdict.check,
    "retrain": retrain.check,
}


class Warned(logging.Handler):
    """Prints what the package's modules warn of, each line once."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line, in the process that leads."""
        if current().rank == 0:
            warn(record.getMessage())


def run(request: Request, *, words: str = "") -> None:
    """Run a command; words: the line that asked for it, as a user would write it."""
    logger = logging.getLogger("stnas")
    logger.propagate = False
    logger.handlers = [Warned()]
    if request.command == "doctor":
        doctor()
    elif request.command == "count":
        count(request.options)
    elif request.command == "init":
        init.run(request.options, recipe_of("quickstart"), command=words)
    else:
        assert request.config is not None
        config = request.config
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        if request.options is not None:
            NETWORK_COMMANDS[request.command](config, request.options, command=words)
            return
        with joined(config.timeout) as group:
            if request.said is not None and group.rank == 0:
                say(request.said)
            run_stages(request.command, config, group)
        end(group)


def run_stages(command: str, config: Config, group: ProcessGroup) -> None:
    """Run one stage, or all of them."""
    if command in STAGES:
        group.first(lambda: check_run(command, config))
        run_stage(command, config, group)
        return
    together = whole_run(config)
    for number, stage in enumerate(together, start=1):
        if group.rank == 0:
            say(f"stnas: stage {number} of {len(together)}: {stage}")
        run_stage(stage, config, group, ahead=together[number:])
    group.first(lambda: print_outcome(config))


def check_run(stage: str, config: Config) -> None:
    """Refuse a folder that no run is in, before a later stage leaves anything there."""
    folder = config.folder
    if not BY_NAME[stage].reads or (folder / "train").is_dir():
        return
    found = "holds no run" if folder.is_dir() else "does not exist"
    beside = [other.parent.name for other in folder.parent.glob("*/train") if other.is_dir()]
    meant = suggestion(folder.name, beside)
    raise FileNotFoundError(
        f"run must be the folder of a run for stnas {stage}, got {config.run}, which {found}: "
        f"{meant or 'correct --run'}, or run `stnas train --run {shlex.quote(config.run)}` first"
    )


def run_stage(
    stage: str, config: Config, group: ProcessGroup, *, ahead: Sequence[str] = ()
) -> None:
    """Run one stage unless it is complete; the leader alone writes the report.

    ahead: stages that are to follow. Where the stage works, it first checks that they can.
    """
    try:
        if stage == "report":
            group.first(lambda: STAGES[stage](config))
        elif checks := [CHECKS[name] for name in ahead if name in CHECKS]:
            STAGES[stage](config, ahead=checks)
        else:
            STAGES[stage](config)
    except StageCompleteError as complete:
        if group.rank == 0:
            say(f"stnas: {complete}")
