"""Configurations in YAML: files that people write, and ``config.yaml`` of a run folder.

A text is taken as it is written, whatever it looks like: ``run: 1e3`` names the folder ``1e3``.
Aliases are not copied, tags are not followed, and every key must be one of the configuration.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from stnas.config.keys import keys, keys_of, sections
from stnas.config.values import Found, UsageError, Word, value_of
from stnas.config.words import shown, suggestion
from stnas.store.advice import advice
from stnas.store.checksum import BLANK, VERSION, DamagedError, broken, seal
from stnas.store.places import refuse_kind

MARK = f"# stnas version: {VERSION}, checksum: "
MOST = 2**18
"""Bytes that a configuration may have."""
TAG = "tag:yaml.org,2002:"
SCALARS = ("str", "int", "float", "bool", "null", "timestamp", "merge")


def sealed_settings(value: dict[str, Any]) -> bytearray:
    """Return a configuration as YAML under a line of comment with the checksum."""
    text = yaml.safe_dump(value, sort_keys=False)
    note = f"{MARK}{BLANK} (delete this line if you edit the file)\n"
    return seal(f"{note}{text}".encode())


def check_settings(path: Path) -> str:
    """Return the text of a configuration; DamagedError: it differs from its first line.

    A file without that line is taken as edited by a person.
    """
    refuse_kind(path, path.stat().st_mode)
    content = _content(path)
    first = content.partition(b"\n")[0]
    sealed = b"stnas version" in first or b"checksum" in first
    sealed = sealed or MARK[:15].encode().startswith(content[:15])
    reason = broken(content) if sealed else None
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        reason = reason or str(error)
    if reason:
        raise DamagedError(
            f"{path} is not as it was written ({reason}): if you have edited it, delete its first "
            "line; if not, delete the file and give the options on the command line"
        )
    return text


def read_settings(path: Path) -> dict[str, Any]:
    """Read a run folder's configuration as sections, tuples as lists; an absent file has none."""
    found: dict[str, Any] = {}
    for name, value in stored_values(path).items():
        section, _, key = name.rpartition(".")
        owner = found.setdefault(section, {}) if section else found
        owner[key] = list(value) if isinstance(value, tuple) else value
    return found


def stored_values(path: Path) -> dict[str, object]:
    """Read the values of a run folder's configuration by name; an absent file has none."""
    return values_of(check_settings(path), path) if path.exists() else {}


def read_file(path: Path) -> dict[str, object]:
    """Read the values of a file that a person gives, by name."""
    try:
        text = _content(path).decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} must be YAML in UTF-8 ({error}): save it as UTF-8") from error
    return values_of(text, path)


def _content(path: Path) -> bytes:
    """Read a file, or the pipe that a shell puts in its place."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST + 1)
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(
            f"{path} cannot be read as a configuration ({reason}): {advice(error)}"
        ) from error
    if len(content) > MOST:
        raise UsageError(
            f"{path} must have {MOST} bytes or fewer as a configuration, got more: name another"
        )
    return content


def values_of(text: str, source: object) -> dict[str, object]:
    """Return the values of a YAML text by name; UsageError that names the source and the key."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        found = dict(_flat(node)) if node is not None else {}
        return {name: value_of(name, keys()[name].kind, word) for name, word in found.items()}
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from None
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{source} must be YAML ({reason}): correct it there") from None
    except RecursionError:
        raise UsageError(f"{source} must not be nested that deep: write `key: value`") from None


def _flat(root: yaml.Node) -> Iterator[tuple[str, Found]]:
    """Yield the dotted names of a file's keys, each once, and the words behind them."""
    if not isinstance(root, yaml.MappingNode):
        raise UsageError("a configuration must be lines of `key: value`, got something else")
    for name, node in _entries(root, set(), "").items():
        if name not in sections():
            yield _known(name), _words(name, node)
        elif isinstance(node, yaml.MappingNode):
            for key, inner in _entries(node, set(), f"{name}.").items():
                yield _known(f"{name}.{key}"), _words(f"{name}.{key}", inner)
        elif not (isinstance(node, yaml.ScalarNode) and node.value in ("", "null", "~")):
            first = keys_of(name)[0]
            got = shown(node.value) if isinstance(node, yaml.ScalarNode) else "a list"
            raise UsageError(
                f"{name} must be a mapping of its keys, got {got}: write them below it, one a "
                f"line, such as `{first}: VALUE`, or `{name}.{first}: VALUE` in its place"
            )


def _entries(node: yaml.MappingNode, seen: set[int], place: str) -> dict[str, yaml.Node]:
    """Map the keys of a mapping to their nodes, those that ``<<`` takes over from others last."""
    seen.add(id(node))
    found: dict[str, yaml.Node] = {}
    others: list[yaml.Node] = []
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else "?"
        if name == "<<":
            others += value.value if isinstance(value, yaml.SequenceNode) else [value]
        elif name in found:
            raise UsageError(f"{place}{name} must be given once, got it twice: delete a line")
        else:
            found[name] = value
    for other in others:
        if isinstance(other, yaml.MappingNode) and id(other) not in seen:
            found = {**_entries(other, seen, place), **found}
    return found


def _known(name: str) -> str:
    """Return the name of a key; UsageError with the nearest one for any other."""
    if name in keys():
        return name
    repair = suggestion(name, [*keys(), *sections()]) or "delete it; stnas train --help lists all"
    raise UsageError(f"unknown key {shown(name)}: {repair}")


def _words(name: str, node: yaml.Node) -> Found:
    """Return the word of a scalar, or the words of a list."""
    if isinstance(node, yaml.ScalarNode):
        if node.tag.removeprefix(TAG) not in SCALARS:
            raise UsageError(f"{name} must have no tag, got {shown(node.tag)}: delete the tag")
        return Word(node.value, plain=node.style is None and node.tag != f"{TAG}str")
    items = node.value if isinstance(node, yaml.SequenceNode) else []
    if not isinstance(node, yaml.SequenceNode) or not all(
        isinstance(item, yaml.ScalarNode) for item in items
    ):
        raise UsageError(
            f"{name} must be a value or a list of values, got more than that: write `{name}: VALUE`"
        )
    return [word for item in items if isinstance(word := _words(name, item), Word)]


def settings_version(path: Path) -> int:
    """Return the version of the stnas files that a configuration was written with."""
    first = check_settings(path).partition("\n")[0] if path.exists() else ""
    return 1 if first.startswith(MARK.replace(str(VERSION), "1", 1)) else VERSION
