"""Arguments of every command: one configuration, from a file, the run folder and options."""

import os
from dataclasses import fields
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace, set_parsing_settings

from stnas.config import Config
from stnas.store.settings import check_settings

STAGES = {
    "train": "train the hyper-network, one architecture a step",
    "sgld": "draw samples of the shared weights and average them",
    "search": "search architectures of few multiply-adds and high accuracy",
    "verdict": "train the best candidates near each limit, and choose who wins",
    "rank": "measure how far a ranking by shared weights can be trusted",
    "retrain": "train the chosen networks from scratch, beside random ones of their size",
    "report": "write one HTML page about the run",
    "run": "run all stages in order; complete ones are skipped",
    "quickstart": "run all stages on the embedded images in minutes",
}
COUNT = "count multiply-adds and parameters of a genotype or a published network"
DOCTOR = "tell what this installation has, and what to do about what it lacks"
MICRO_BATCHES = ("train.micro_batches", "retrain.micro_batches")
RECIPES = Path(__file__).parent / "recipes"


def parse(arguments: list[str]) -> Namespace:
    """Parse a command line; for the stages the result's ``config`` is a Config."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    root = ArgumentParser(
        prog="stnas",
        description="One-shot topological architecture search.",
        allow_abbrev=False,
    )
    commands = root.add_subcommands(dest="command")
    defaults = default_files(arguments)
    for name, text in STAGES.items():
        commands.add_subcommand(name, stage_parser(text, defaults), help=text)
    commands.add_subcommand("count", count_parser(), help=COUNT)
    commands.add_subcommand("doctor", described(DOCTOR), help=DOCTOR)
    parsed = root.parse_args(with_recipes(arguments))
    if parsed.command in STAGES:
        values = root.instantiate(parsed)[parsed.command]
        parsed.config = Config(**{field.name: values[field.name] for field in fields(Config)})
    return parsed


def with_recipes(arguments: list[str]) -> list[str]:
    """Put the paths of recipes where ``--config`` names them: ``--config imagenet``."""
    before = ["", *arguments[:-1]]
    return [
        str(RECIPES / f"{word}.yaml") if previous == "--config" and word in recipes() else word
        for previous, word in zip(before, arguments, strict=True)
    ]


def recipes() -> list[str]:
    """List the names of the recipes that come with the package."""
    return sorted(file.stem for file in RECIPES.glob("*.yaml"))


def described(text: str) -> ArgumentParser:
    """Make an empty parser with a description."""
    return ArgumentParser(description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False)


def default_files(arguments: list[str]) -> list[str]:
    """List the files that give a stage's defaults: its recipe, and the run folder's own.

    Raises DamagedError if the run folder's is not as it was written.
    """
    files = [RECIPES / "quickstart.yaml"] if arguments[:1] == ["quickstart"] else []
    for argument, value in zip(arguments, [*arguments[1:], ""], strict=True):
        if argument == "--run" or argument.startswith("--run="):
            files.append(Path(argument.partition("=")[2] or value) / "config.yaml")
    found = [file for file in files if file.is_file()]
    for file in found:
        check_settings(file)
    return [str(file) for file in found]


def stage_parser(text: str, defaults: list[str]) -> ArgumentParser:
    """Make the parser of a stage: every field of the configuration is an option.

    Under torchrun, which sets WORLD_SIZE, a batch has one part a process by default.
    """
    stage = described(text)
    stage.default_config_files = defaults
    names = ", ".join(recipes())
    stage.add_argument(
        "--config",
        action="config",
        help=f"YAML file with some of these keys, or a recipe: {names}; may be given again",
    )
    stage.add_class_arguments(Config, as_group=False)
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    stage.set_defaults(dict.fromkeys(MICRO_BATCHES, processes))
    return stage


def count_parser() -> ArgumentParser:
    """Make the parser of ``stnas count``."""
    count = described(COUNT)
    count.add_argument("network", type=str, help="genotype, or model name of torchvision or timm")
    count.add_argument("--run", type=str | None, default=None, help="run of the genotype")
    count.add_argument(
        "--profile", type=str | None, default=None, help="profile of the genotype's space"
    )
    count.add_argument("--image_size", type=int | None, default=None, help="pixels a side")
    count.add_argument("--in_channels", type=int | None, default=None, help="channels of an image")
    count.add_argument("--num_classes", type=int | None, default=None, help="classes")
    count.add_argument("--explain", action="store_true", help="list every layer")
    return count
