"""Cut the words of a command line into options and their values."""

from collections.abc import Mapping
from typing import NamedTuple

from stnas.config.keys import Key
from stnas.config.values import UsageError, example
from stnas.config.words import shown, suggestion

HELP = ("-h", "--help")


class Option(NamedTuple):
    """An option that was given; value: its word, empty for a switch."""

    name: str
    value: str


class Words(NamedTuple):
    """What a command line holds: options in their order, and the other words."""

    options: list[Option]
    others: list[str]

    def has(self, name: str) -> bool:
        """Tell whether an option was given."""
        return any(option.name == name for option in self.options)


def cut(
    words: list[str], known: Mapping[str, Key], *, command: str, switches: tuple[str, ...] = ()
) -> Words:
    """Cut ``--name value`` and ``--name=value``; UsageError names the word that does not fit.

    known: options that take a value; one that is true or false may go without. switches: options
    that take none.
    """
    options: list[Option] = []
    others: list[str] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if word in HELP:
            options.append(Option("help", ""))
        elif not word.startswith("-") or word == "-":
            others.append(word)
        else:
            name, given, value = word.removeprefix("--").partition("=")
            if name in switches and not given:
                options.append(Option(name, ""))
                continue
            if not word.startswith("--") or name not in known:
                raise _unknown(word.partition("=")[0], [*known, *switches], command)
            options.append(Option(name, value if given else _value(known[name], waiting)))
    return Words(options, others)


def _value(key: Key, waiting: list[str]) -> str:
    """Take the word that stands behind an option."""
    if waiting and not waiting[0].startswith("--"):
        return waiting.pop(0)
    if key.kind is bool:
        return "true"
    raise UsageError(
        f"--{key.name} must be followed by a value, got "
        f"{'--' + shown(waiting[0])[3:-1] if waiting else 'nothing'}: write "
        f"--{key.name} {example(key.kind)}, or --{key.name}=VALUE for one that begins with --"
    )


def _unknown(word: str, known: list[str], command: str) -> UsageError:
    repair = suggestion(word.lstrip("-"), known, mark="--")
    return UsageError(
        f"unknown option {shown(word)[1:-1]}: {repair or 'correct it'} "
        f"(stnas {command} --help lists all)"
    )


def stray(word: str, before: list[Option]) -> UsageError:
    """Make the error for a word that belongs to no option."""
    last = f", as in --{before[-1].name} '{before[-1].value} {word[:40]}'" if before else ""
    return UsageError(
        f"unexpected word {shown(word)}: a value stands behind its option, and one with spaces "
        f"needs quotes{last}"
    )
