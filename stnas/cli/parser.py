"""What a command line asks for: one configuration, from files, the run folder and options.

The lowest first: the defaults, the recipe of ``quickstart``, ``config.yaml`` of the run folder,
the files of ``--config`` in their order, and the other options.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

import stnas
from stnas.cli.usage import COMMANDS, command_usage, plain_usage, usage
from stnas.cli.words import Option, Words, cut, stray
from stnas.config import Config
from stnas.config.evaluate import EvaluateOptions, PredictOptions
from stnas.config.export import ExportOptions
from stnas.config.keys import Key, build, keys, sections
from stnas.config.latency import LatencyOptions
from stnas.config.values import UsageError, Word, value_of
from stnas.config.words import shown, suggestion
from stnas.store.names import CONFIG as CONFIG_OF_STAGE
from stnas.store.names import SETTINGS
from stnas.store.origin import ABSENT, plain
from stnas.store.settings import read_file, stored_values
from stnas.store.stages import BY_NAME

RECIPES = Path(__file__).parent / "recipes"
MICRO_BATCHES = ("train.micro_batches", "retrain.micro_batches")
CONFIG = Key("config", str, None, Config)
NETWORK_OPTIONS: dict[str, type] = {
    "export": ExportOptions,
    "evaluate": EvaluateOptions,
    "predict": PredictOptions,
    "latency": LatencyOptions,
}
"""Options of the commands about a trained network."""
OTHERS = (
    "Options of its run, such as --threads and --data.path, may be given, too: "
    "stnas run --help lists them."
)


@dataclass(frozen=True)
class CountOptions:
    """What ``stnas count`` counts, and how."""

    run: str | None = None
    """Run folder that the genotype comes from."""
    profile: str | None = None
    """Profile of the genotype's space."""
    family: str | None = None
    """Family of the profile, such as spos; default: the first that has the profile."""
    image_size: int | None = None
    """Pixels a side."""
    in_channels: int | None = None
    """Channels of an image."""
    num_classes: int | None = None
    """Classes."""
    explain: bool = False
    """Whether every layer is listed."""
    network: str = ""
    """Genotype, a tuple of choices such as "(2, 1, 0)", or the name of a model of torchvision or
    timm; may stand without its option."""


class Request(NamedTuple):
    """A command with its options, or an answer to print instead of any work.

    options: what a command takes besides the configuration.
    """

    command: str
    config: Config | None = None
    options: Any = None
    answer: str | None = None


def parse(arguments: list[str]) -> Request:
    """Parse a command line; UsageError names the word that is wrong and the one that was meant."""
    command, *words = arguments or ["--help"]
    if command in ("-h", "--help", "help"):
        return Request("help", answer=usage())
    if command == "--version":
        return Request("version", answer=f"stnas {stnas.__version__}")
    if command not in COMMANDS:
        repair = suggestion(command, COMMANDS) or f"take one of {', '.join(COMMANDS)}"
        raise UsageError(f"unknown command {shown(command)}: {repair} (see stnas --help)")
    if command == "doctor":
        return parse_doctor(words)
    if command in NETWORK_OPTIONS:
        return parse_of_network(command, words)
    return parse_count(words) if command == "count" else parse_stage(command, words)


def parse_doctor(words: list[str]) -> Request:
    """Parse the words of ``stnas doctor``, which takes none."""
    found = cut(words, {}, command="doctor")
    if found.others:
        raise stray(found.others[0], found.options)
    return Request("doctor", answer=plain_usage("doctor", "") if found.has("help") else None)


def parse_count(words: list[str]) -> Request:
    """Parse the words of ``stnas count``."""
    known = keys(CountOptions)
    found = cut(words, known, command="count")
    if found.has("help"):
        return Request("count", answer=plain_usage("count", " NETWORK [...]", CountOptions))
    names = [Option("network", word) for word in found.others[:1]]
    if found.others[1:]:
        raise stray(found.others[1], found.options)
    options: CountOptions = build(typed([*names, *found.options], known), CountOptions)
    if not options.network:
        raise UsageError(
            "stnas count must be given a network, got none: name a genotype (st1-...) or a model "
            "of torchvision or timm, such as stnas count mobilenet_v2"
        )
    return Request("count", options=options)


def parse_of_network(command: str, words: list[str]) -> Request:
    """Parse the words of a command about a trained network: its options, and those of its run.

    The network may stand without its option; the run that it lies in is the one of the request.
    """
    kind = NETWORK_OPTIONS[command]
    own = keys(kind)
    found = cut(words, {**keys(), **own, "config": CONFIG}, command=command)
    if found.has("help"):
        files = " FILE ..." if "files" in own else ""
        form = f" RUN|RUN/retrain/NAME{files} [--KEY VALUE ...]"
        return Request(command, answer=f"{plain_usage(command, form, kind)}\n\n{OTHERS}")
    if found.others[1:] and "files" not in own:
        raise stray(found.others[1], found.options)
    names = [Option("network", word) for word in found.others[:1]]
    given = typed([*names, *(o for o in found.options if o.name in own)], own)
    if found.others[1:]:
        given["files"] = tuple(found.others[1:])
    runs = [option.value for option in found.options if option.name == "run"]
    network = str(given.get("network") or (runs[-1] if runs else ""))
    if not network:
        raise UsageError(
            f"stnas {command} must be given a run or a network, got none: name one, such as "
            f"stnas {command} runs/quickstart/retrain/A"
        )
    options = build({**given, "network": network}, kind)
    rest = [option for option in found.options if option.name not in own and option.name != "run"]
    run = Option("run", str(run_of_network(network)))
    return Request(command, build(layered(command, Words([*rest, run], []))), options)


def run_of_network(network: str) -> Path:
    """Return the run that a folder of a network lies in, or the folder itself."""
    place = Path(os.path.expanduser(network))
    parent = Path(os.path.abspath(place)).parent
    return parent.parent if parent.name == "retrain" else place


def parse_stage(command: str, words: list[str]) -> Request:
    """Parse the words of a stage, or of all of them."""
    known = {**keys(), "config": CONFIG}
    for section in sections():
        if any(word.partition("=")[0] == f"--{section}" for word in words):
            first = next(name for name in known if name.startswith(f"{section}."))
            raise UsageError(
                f"--{section} must name a key of this section, got the section alone: write "
                f"--{first} VALUE"
            )
    found = cut(words, known, command=command, switches=("print_config",))
    if found.has("help"):
        defaults = recipe_of(command)
        return Request(command, answer=command_usage(command, recipes(), defaults))
    if found.others:
        raise stray(found.others[0], found.options)
    config: Config = build(layered(command, found))
    if found.has("print_config"):
        return Request(command, answer=yaml.safe_dump(plain(config), sort_keys=False).rstrip())
    return Request(command, config=config)


def layered(command: str, words: Words) -> dict[str, object]:
    """Return the values that a command line gives by name, the higher layers over the lower."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    base = {**dict.fromkeys(MICRO_BATCHES, processes), **recipe_of(command)}
    files: dict[str, object] = {}
    for option in words.options:
        if option.name == "config":
            files |= read_file(config_file(option.value))
    given = typed((option for option in words.options if option.name in keys()), keys())
    above = {**files, **given}
    run = str(above.get("run", base.get("run", Config.run)))
    return {**base, **run_settings(run), **above}


def run_settings(run: str) -> dict[str, object]:
    """Return the values that a run folder was made with; the folder is where it is found.

    An option that did not exist when the run was begun has what its absence means.
    """
    folder = Path(os.path.expanduser(run))
    begun = any((folder / stage / CONFIG_OF_STAGE).exists() for stage in BY_NAME)
    file = folder / SETTINGS
    found = stored_values(file) if file.is_file() else {}
    absent = ABSENT if begun and found else {}
    return {name: value for name, value in {**absent, **found}.items() if name != "run"}


def recipe_of(command: str) -> dict[str, object]:
    """Return the values of a command's own recipe, the run folder's name included."""
    file = RECIPES / f"{command}.yaml"
    return read_file(file) if command == "quickstart" else {}


def typed(options: Iterable[Option], known: Mapping[str, Key]) -> dict[str, object]:
    """Return the values of options by name, the last of each."""
    return {
        option.name: value_of(option.name, known[option.name].kind, Word(option.value))
        for option in options
    }


def recipes() -> list[str]:
    """List the names of the recipes that come with the package."""
    return sorted(file.stem for file in RECIPES.glob("*.yaml"))


def config_file(word: str) -> Path:
    """Return the file that a word behind ``--config`` names, a recipe of the package or another."""
    if word in recipes():
        return RECIPES / f"{word}.yaml"
    file = Path(os.path.expanduser(word))
    if not file.exists():
        repair = suggestion(word, recipes()) or "correct the name"
        raise UsageError(
            f"config must be a YAML file or a recipe ({', '.join(recipes())}), got {shown(word)}, "
            f"which is neither: {repair}"
        )
    return file
