"""Write a configuration as YAML that a person may read and change."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from stnas.config.keys import keys, sections
from stnas.init.proposal import Proposal
from stnas.store.origin import plain

WIDTH = 96


def configuration(
    values: Mapping[str, Any], chosen: Sequence[Proposal], *, summary: Sequence[str], by: str
) -> str:
    """Return values by name as YAML; what was chosen for the images has its reason above it.

    summary: lines for the top. by: the command that this comes from.
    """
    why = {own.name: own.why for own in chosen}
    head = [
        f"Written by: {by}",
        *summary,
        "",
        "Every other key and what it means: stnas run --help",
    ]
    lines = [line for text in head for line in comment(text, "")]
    for section in ("", *sections()):
        own = [name for name in keys() if name in values and name.rpartition(".")[0] == section]
        if not own:
            continue
        indent = "  " if section else ""
        lines += ["", f"{section}:"] if section else [""]
        for name in own:
            lines += comment(why.get(name, ""), indent) if why.get(name) else []
            lines.append(f"{indent}{name.rpartition('.')[2]}: {scalar(values[name])}")
    return "\n".join(lines) + "\n"


def comment(text: str, indent: str) -> list[str]:
    """Break a text into lines of comment."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
    ) or [f"{indent}#"]


def scalar(value: Any) -> str:
    """Write a value, a list on one line."""
    text = yaml.safe_dump(plain(value), default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix("...\n").strip()
