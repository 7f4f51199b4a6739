"""Entry point: read the arguments, run the command, turn errors into one line."""

import errno
import shlex
import signal
import sys

import torch

from stnas import rank, report, retrain, search, sgld, train, verdict
from stnas.cli.count import count
from stnas.cli.doctor import doctor
from stnas.cli.outcome import print_outcome
from stnas.cli.parser import parse
from stnas.config import Config
from stnas.group.interruption import Stopped, stop_now
from stnas.group.processes import ProcessGroup, end, joined
from stnas.store.console import CONSOLE
from stnas.store.run_folder import StageCompleteError

STAGES = {
    "train": train.run,
    "sgld": sgld.run,
    "search": search.run,
    "verdict": verdict.run,
    "rank": rank.run,
    "retrain": retrain.run,
    "report": report.run,
}


def main(arguments: list[str] | None = None) -> None:
    """Run ``stnas`` with the arguments of the process, or the given ones.

    Under torchrun all processes run a stage together.
    Exits with 1 after an error, 2 if the arguments are wrong, 128 + n if signal n ended it.
    """
    words = sys.argv[1:] if arguments is None else arguments
    signal.signal(signal.SIGTERM, stop_now)
    try:
        run_command(words)
    except (ValueError, TypeError, OSError, RuntimeError, ArithmeticError) as error:
        CONSOLE.print("stnas: error: ", style="bold red", end="")
        CONSOLE.print(advised(error), markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt as stop:
        number = stop.number if isinstance(stop, Stopped) else signal.SIGINT
        CONSOLE.print(f"stnas: stopped by {signal.Signals(number).name}; what is done is saved, ")
        CONSOLE.print("the same command goes on from there: ", end="")
        CONSOLE.print(shlex.join(["stnas", *words]), markup=False, soft_wrap=True)
        sys.exit(128 + number)


def advised(error: Exception) -> str:
    """Return an error's text, with the repair where the system's own error lacks it."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"{error}: free some space and run the same command again"
    return str(error)


def run_command(words: list[str]) -> None:
    """Parse and run one command."""
    parsed = parse(words)
    if parsed.command == "doctor":
        doctor()
    elif parsed.command == "count":
        count(parsed["count"])
    else:
        config: Config = parsed.config
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        with joined(config.timeout) as group:
            run_stages(parsed.command, config, group)
        end(group)


def run_stages(command: str, config: Config, group: ProcessGroup) -> None:
    """Run one stage, or all of them."""
    together = command in ("run", "quickstart")
    left_out = ["rank"] if config.verdict.candidates else ["rank", "verdict"]
    for stage in [name for name in STAGES if name not in left_out] if together else [command]:
        run_stage(stage, config, group)
    if together:
        group.first(lambda: print_outcome(config))


def run_stage(stage: str, config: Config, group: ProcessGroup) -> None:
    """Run one stage unless it is complete; the leader alone writes the report."""
    try:
        if stage == "report":
            group.first(lambda: STAGES[stage](config))
        else:
            STAGES[stage](config)
    except StageCompleteError as complete:
        if group.rank == 0:
            CONSOLE.print(f"stnas: {complete}", markup=False)
