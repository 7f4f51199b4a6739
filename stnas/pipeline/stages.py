"""The stages of a run in their order: one, or all that a run needs."""

import shlex
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from stnas.config import Config
from stnas.config.words import suggestion
from stnas.group.processes import ProcessGroup
from stnas.store.console import say
from stnas.store.run_folder import StageCompleteError
from stnas.store.stages import BY_NAME, whole_run

_PACKAGES: dict[str, Any] = {name: import_module(f"stnas.{name}") for name in BY_NAME}
STAGES: dict[str, Callable[..., None]] = {name: own.run for name, own in _PACKAGES.items()}
"""What runs each stage: its package has the stage's name."""
CHECKS = {name: own.check for name, own in _PACKAGES.items() if hasattr(own, "check")}
"""What finds out, before a stage before it works, whether a stage can: those that can tell."""


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
