"""Values of the configuration, read from words: of a command line, or of a YAML file."""

import math
import re
from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from stnas.config.words import shown, suggestion

WHOLE = re.compile(r"[+-]?\d[\d_]*")
NULLS = ("null", "Null", "NULL", "~", "")
BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
BRACKETS = {"[": "]", "(": ")"}
NAMES = {int: "a whole number", float: "a finite number", bool: "true or false", str: "a text"}
EXAMPLES: dict[Any, str] = {int: "2", float: "0.5", bool: "true", str: "text"}
PLURALS = {int: "whole numbers", float: "finite numbers", bool: "true or false", str: "texts"}


class UsageError(ValueError):
    """Words that no option and no key of a file takes."""


class Word(NamedTuple):
    """A piece of text; plain: not in quotes, so that it may stand for no value."""

    text: str
    plain: bool = True


Found = Word | Sequence[Word]
"""What stands behind a key: a word, or a list of them."""


class _OtherKindError(Exception):
    """The words are not of the kind that was tried."""


def value_of(name: str, kind: Any, found: Found) -> object:
    """Return the value of a kind that words stand for; UsageError that names the key."""
    try:
        return _read_any(kind, found)
    except _OtherKindError:
        pass
    literals = [member for member in members(kind) if get_origin(member) is Literal]
    words = [str(word) for member in literals for word in get_args(member)]
    text = found.text if isinstance(found, Word) else ", ".join(word.text for word in found)
    repair = suggestion(text, words) or f"write for example {example(kind)}"
    raise UsageError(f"{name} must be {described(kind)}, got {shown(text)}: {repair}")


def members(kind: Any) -> list[Any]:
    """List the kinds of a union, text last: it takes every word."""
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return sorted(kinds, key=lambda member: (member is str, member is not NoneType))


def described(kind: Any) -> str:
    """Say in words what values of a kind are."""
    return " or ".join(_described(member) for member in members(kind) if member is not NoneType)


def _described(kind: Any) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}" if len(inner) > 1 else str(inner[0])
    if origin is tuple:
        count = "" if inner[-1] is Ellipsis else f"{len(inner)} "
        return f"a list of {count}{PLURALS.get(inner[0], 'words')}"
    return NAMES[kind]


def example(kind: Any) -> str:
    """Return words that a kind takes."""
    kind = next(member for member in members(kind) if member is not NoneType)
    if get_origin(kind) is Literal:
        return str(get_args(kind)[0])
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        count = 2 if inner[-1] is Ellipsis else len(inner)
        return f"[{', '.join([example(inner[0])] * count)}]"
    return EXAMPLES[kind]


def _read_any(kind: Any, found: Found) -> object:
    """Return the value of the first kind of a union that takes the words."""
    for member in members(kind):
        try:
            return _read(member, found)
        except _OtherKindError:
            continue
    raise _OtherKindError


def _read(kind: Any, found: Found) -> object:
    """Return the value of one kind, no union."""
    origin = get_origin(kind)
    if origin is tuple:
        return _items(get_args(kind), _listed(found))
    if not isinstance(found, Word):
        raise _OtherKindError
    if kind is NoneType:
        return _require(None, found.plain and found.text in NULLS)
    if origin is Literal:
        return _require(found.text, found.text in get_args(kind))
    if kind is str:
        return found.text
    text = found.text.strip()
    if kind is bool:
        return _require(BOOLEANS.get(text.lower()), text.lower() in BOOLEANS)
    return _number(kind, text)


def _number(kind: Any, text: str) -> int | float:
    try:
        if kind is int and WHOLE.fullmatch(text):
            return int(text)
        value = float(text)
    except (ValueError, OverflowError):
        raise _OtherKindError from None
    if kind is float:
        return float(_require(value, math.isfinite(value)))
    return int(_require(value, value.is_integer() and abs(value) < 2**53))


def _items(kinds: tuple[Any, ...], words: Sequence[Word]) -> tuple[object, ...]:
    """Return the values of a tuple's kinds; an Ellipsis repeats the first."""
    each = kinds[:1] * len(words) if kinds[-1] is Ellipsis else kinds
    _require(None, len(each) == len(words))
    return tuple(_read_any(kind, word) for kind, word in zip(each, words, strict=True))


def _listed(found: Found) -> Sequence[Word]:
    """Cut ``[1, 2]``, ``1,2`` or ``1`` into words."""
    if not isinstance(found, Word):
        return found
    text = found.text.strip()
    if found.plain and text in NULLS:
        raise _OtherKindError
    if text[:1] in BRACKETS:
        _require(None, len(text) > 1 and text[-1] == BRACKETS[text[0]])
        text = text[1:-1].strip().removesuffix(",")
    return [Word(item.strip().strip("'\"")) for item in text.split(",")] if text else []


def _require(value: Any, holds: bool) -> Any:
    if not holds:
        raise _OtherKindError
    return value
