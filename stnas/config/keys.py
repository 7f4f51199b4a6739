"""Every key of the configuration: its dotted name, its kind, its default and its words."""

import ast
import inspect
import textwrap
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from itertools import pairwise
from types import MappingProxyType
from typing import Any, get_type_hints

from stnas.config import Config


@dataclass(frozen=True)
class Key:
    """One key: ``train.epochs``, say."""

    name: str
    kind: Any
    default: object
    owner: type
    """The dataclass that has it."""

    @property
    def field(self) -> str:
        """Return the name inside its section."""
        return self.name.rpartition(".")[2]


@cache
def keys(owner: type = Config, section: str = "") -> MappingProxyType[str, Key]:
    """Map the names of all keys of a dataclass, those of its sections included, to the keys."""
    found: dict[str, Key] = {}
    kinds = get_type_hints(owner)
    for field in fields(owner):
        name = f"{section}{field.name}"
        kind = kinds[field.name]
        if is_dataclass(kind):
            assert isinstance(kind, type)
            found |= keys(kind, f"{name}.")
        else:
            default = field.default if field.default is not MISSING else None
            found[name] = Key(name, kind, default, owner)
    return MappingProxyType(found)


@cache
def sections() -> tuple[str, ...]:
    """List the names of the sections."""
    return tuple(dict.fromkeys(name.partition(".")[0] for name in keys() if "." in name))


def keys_of(section: str) -> list[str]:
    """List the names inside a section."""
    return [key.field for key in keys().values() if key.name.partition(".")[0] == section]


def build(values: dict[str, object], owner: type = Config, section: str = "") -> Any:
    """Make the dataclass that has some values by name, and the defaults of the others."""
    given: dict[str, Any] = {}
    kinds = get_type_hints(owner)
    for field in fields(owner):
        name = f"{section}{field.name}"
        if is_dataclass(kinds[field.name]):
            given[field.name] = build(values, kinds[field.name], f"{name}.")
        elif name in values:
            given[field.name] = values[name]
    return owner(**given)


@cache
def words_of(owner: type) -> MappingProxyType[str, str]:
    """Map the fields of a dataclass to the docstrings that stand below them."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef))
    found = {}
    for before, after in pairwise(body):
        if (
            isinstance(before, ast.AnnAssign)
            and isinstance(before.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            found[before.target.id] = " ".join(str(after.value.value).split())
    return MappingProxyType(found)
