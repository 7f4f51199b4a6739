"""What a command line asks for: an answer, or a command with its configuration and options."""

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
from stnas.config.detect import DetectOptions
from stnas.config.evaluate import EvaluateOptions, PredictOptions
from stnas.config.export import ExportOptions
from stnas.config.init import InitOptions
from stnas.config.keys import Key, build, keys, sections
from stnas.config.latency import LatencyOptions
from stnas.config.runs import RunsOptions
from stnas.config.values import UsageError, Word, value_of
from stnas.config.words import shown, suggestion
from stnas.pipeline.configuration import configured, of_files, recipe_of, recipes
from stnas.store.origin import plain

CONFIG = Key("config", str, None, Config)
GENOTYPE = Key("genotype", str, None, Config)
"""``stnas retrain --genotype TEXT``: one of ``retrain.genotypes``, and may be given again."""
NETWORK_OPTIONS: dict[str, type] = {
    "export": ExportOptions,
    "evaluate": EvaluateOptions,
    "predict": PredictOptions,
    "latency": LatencyOptions,
    "detect": DetectOptions,
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
    scales: tuple[int, ...] | None = None
    """Tenths of a block's inner channels that the space searches, such as [2,4,6,8,10,12,14,16]."""
    image_size: int | None = None
    """Pixels a side."""
    in_channels: int | None = None
    """Channels of an image."""
    num_classes: int | None = None
    """Classes."""
    width: float = 1.0
    """Factor of the channels of a genotype's network."""
    explain: bool = False
    """Whether every layer is listed."""
    network: str = ""
    """Genotype, a tuple of choices such as "(2, 1, 0)", or the name of a model of torchvision or
    timm; may stand without its option."""


ALONE: dict[str, tuple[type, str, str]] = {
    "count": (
        CountOptions,
        "network",
        "a network, got none: name a genotype (st1-...) or a model of torchvision or timm, such "
        "as stnas count mobilenet_v2",
    ),
    "init": (
        InitOptions,
        "images",
        "images, got none: name a folder with one folder of images for each class, such as "
        "stnas init photos",
    ),
    "runs": (RunsOptions, "folder", "a folder, got none: name one, such as stnas runs runs"),
}
"""Commands on no run: their options, the one that may stand without its name, and what to say where
it is missing."""


class Request(NamedTuple):
    """A command with its options, or an answer to print instead of any work.

    options: what a command takes besides the configuration. said: what is to be said first.
    """

    command: str
    config: Config | None = None
    options: Any = None
    answer: str | None = None
    said: str | None = None


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
    return parse_alone(command, words) if command in ALONE else parse_stage(command, words)


def parse_doctor(words: list[str]) -> Request:
    """Parse the words of ``stnas doctor``, which takes none."""
    found = cut(words, {}, command="doctor")
    if found.others:
        raise stray(found.others[0], found.options)
    return Request("doctor", answer=plain_usage("doctor", "") if found.has("help") else None)


def parse_alone(command: str, words: list[str]) -> Request:
    """Parse the words of a command on no run: its options, of which one may stand without."""
    kind, first, missing = ALONE[command]
    known = keys(kind)
    found = cut(words, known, command=command)
    if found.has("help"):
        form = f" {first.upper()} [...]"
        return Request(command, answer=plain_usage(command, form, kind))
    names = [Option(first, word) for word in found.others[:1]]
    if found.others[1:]:
        raise stray(found.others[1], found.options)
    options = build(typed([*names, *found.options], known), kind)
    if not getattr(options, first):
        raise UsageError(f"stnas {command} must be given {missing}")
    return Request(command, options=options)


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
    config, _ = configured(command, above(command, Words([*rest, run], [])))
    return Request(command, config, options)


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
    if command == "retrain":
        known["genotype"] = GENOTYPE
    switches = ("print_config", *(["watch"] if command == "report" else []))
    found = cut(words, known, command=command, switches=switches)
    if found.has("help"):
        defaults = recipe_of(command)
        return Request(command, answer=command_usage(command, recipes(), defaults))
    if found.others:
        raise stray(found.others[0], found.options)
    given = above(command, found)
    if genotypes := tuple(own.value for own in found.options if own.name == "genotype"):
        given["retrain.genotypes"] = (*given.get("retrain.genotypes", ()), *genotypes)
    config, said = configured(command, given)
    if found.has("print_config"):
        return Request(command, answer=yaml.safe_dump(plain(config), sort_keys=False).rstrip())
    return Request("watch" if found.has("watch") else command, config=config, said=said)


def above(command: str, words: Words) -> dict[str, Any]:
    """Return the values that a command's files and options give by name."""
    files: dict[str, Any] = of_files(
        command, (option.value for option in words.options if option.name == "config")
    )
    return files | typed((option for option in words.options if option.name in keys()), keys())


def typed(options: Iterable[Option], known: Mapping[str, Key]) -> dict[str, object]:
    """Return the values of options by name, the last of each."""
    return {
        option.name: value_of(option.name, known[option.name].kind, Word(option.value))
        for option in options
    }
