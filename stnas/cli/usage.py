"""What ``stnas --help`` and ``stnas COMMAND --help`` print."""

import shutil
import textwrap
from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin

from stnas.config import Config
from stnas.config.keys import Key, keys, words_of
from stnas.config.values import members
from stnas.store.stages import STAGES

COMMANDS = {
    **{stage.name: stage.purpose for stage in STAGES},
    "run": "run all stages in order; complete ones are skipped",
    "init": "look at a folder of images, and write a configuration for a run on it",
    "quickstart": "run all stages on the embedded images in minutes",
    "latency": "measure blocks and networks on this machine, for a search by latency",
    "evaluate": "tell how well a trained network classifies images, class by class",
    "predict": "tell what image files show, by a trained network",
    "export": "write a trained network as ONNX, safetensors, torch.export or OpenVINO; check it",
    "detect": "train an object detector on a found network, on images with boxes as COCO has them",
    "runs": "list, compare or delete runs: how far they are, how large, what they found",
    "count": "count multiply-adds and parameters of a genotype or a published network",
    "doctor": "tell what this installation has, and what to do about what it lacks",
}
KINDS = {int: "N", float: "X", bool: "true|false", str: "TEXT"}
INDENT = " " * 6
WATCH = ("--watch", f"{INDENT}Write the page again whenever a running search has got further.")


def usage() -> str:
    """Describe the command and what it can do."""
    lines = [
        "usage: stnas COMMAND [--KEY VALUE ...]",
        "",
        "One-shot topological architecture search. Begin with: stnas quickstart",
        "",
        "commands:",
        *(line for name, text in COMMANDS.items() for line in _wrapped(text, f"  {name:<12}")),
        "",
        "stnas COMMAND --help   lists the options of a command",
        "stnas --version        prints the version",
    ]
    return "\n".join(lines)


def command_usage(command: str, recipes: list[str], defaults: dict[str, object]) -> str:
    """Describe a command that works on a run folder; defaults: those of its recipe."""
    lines = [
        f"usage: stnas {command} [--config FILE] [--KEY VALUE ...]",
        "",
        *_wrapped(sentence(COMMANDS[command]), ""),
        "",
        "--config FILE|RECIPE",
        *_wrapped(
            f"YAML file with some of the keys below, or a recipe: {', '.join(recipes)}; may be "
            "given again, the last one counts. What a run folder has in config.yaml stands below "
            "it, options stand above it."
        ),
        "--print_config",
        *_wrapped("Print the configuration that the words give, and do nothing."),
        *(WATCH if command == "report" else ()),
        *_described(keys(Config).values(), defaults),
    ]
    return "\n".join(lines)


def plain_usage(command: str, form: str, options: type | None = None) -> str:
    """Describe a command that works on no run folder."""
    lines = [f"usage: stnas {command}{form}", "", *_wrapped(sentence(COMMANDS[command]), "")]
    if options is not None:
        lines += ["", *_described(keys(options).values(), {})]
    return "\n".join(lines)


def sentence(text: str) -> str:
    """Begin with a capital and end with a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def _described(known: Iterable[Key], defaults: dict[str, object]) -> list[str]:
    """Describe options, two lines or more each, those of a section together."""
    lines: list[str] = []
    section = ""
    for key in known:
        if key.name.rpartition(".")[0] != section:
            section = key.name.rpartition(".")[0]
            lines += ["", f"section {section}:"]
        text = words_of(key.owner).get(key.field, "").replace("``", "`")
        default = defaults.get(key.name, key.default)
        told = "" if default is None else f" (default: {_default(default)})"
        lines += [f"--{key.name} {_kind(key.kind)}", *_wrapped(f"{text}{told}")]
    return lines


def _default(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _kind(kind: Any) -> str:
    """Say in a word what stands behind an option."""
    told = []
    for member in members(kind):
        if get_origin(member) is Literal:
            told.append("|".join(map(str, get_args(member))))
        elif get_origin(member) is tuple:
            inner = KINDS.get(get_args(member)[0], "WORD")
            told.append(f"[{inner},...]" if inner != "TEXT" else "[WORD,...]")
        elif member in KINDS:
            told.append(KINDS[member])
    return "|".join(told)


def _wrapped(text: str, first: str = INDENT) -> list[str]:
    """Break a text into lines that fit the terminal; first: what stands before it."""
    width = min(100, max(40, shutil.get_terminal_size().columns))
    rest = " " * len(first)
    return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=rest)
