"""Run what was asked for: a stage, all of them, or a command beside them."""

import logging
from collections.abc import Callable

import torch

from stnas import detect, evaluate, export, init, latency, predict, report, runs
from stnas.cli.count import count
from stnas.cli.doctor import doctor
from stnas.cli.outcome import print_outcome
from stnas.cli.parser import Request
from stnas.group.processes import current
from stnas.group.torchrun import end, joined
from stnas.pipeline.configuration import recipe_of
from stnas.pipeline.stages import STAGES, check_run, run_stages
from stnas.store.console import say, warn

NETWORK_COMMANDS: dict[str, Callable[..., None]] = {
    "export": export.run,
    "evaluate": evaluate.run,
    "predict": predict.run,
    "latency": latency.run,
    "detect": detect.run,
}
"""Commands about a trained network."""


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
    elif request.command == "runs":
        runs.run(request.options)
    elif request.command == "init":
        init.run(request.options, recipe_of("quickstart"), command=words)
    else:
        assert request.config is not None
        config = request.config
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        if request.command == "watch":
            check_run("report", config)
            report.watch(config)
            return
        if request.options is not None:
            NETWORK_COMMANDS[request.command](config, request.options, command=words)
            return
        with joined(config.timeout) as group:
            if request.said is not None and group.rank == 0:
                say(request.said)
            run_stages(request.command, config, group)
            if request.command not in STAGES:
                group.first(lambda: print_outcome(config))
        end(group)
