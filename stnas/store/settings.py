"""``config.yaml`` of a run folder, which people read and may edit."""

from pathlib import Path
from typing import Any

import yaml

from stnas.store.checksum import BLANK, VERSION, DamagedError, broken, seal
from stnas.store.files import write_whole

MARK = f"# stnas version: {VERSION}, checksum: "


def write_settings(path: Path, value: dict[str, Any]) -> None:
    """Write a configuration as YAML under a line of comment with the checksum."""
    text = yaml.safe_dump(value, sort_keys=False)
    note = f"{MARK}{BLANK} (delete this line if you edit the file)\n"
    write_whole(path, seal(f"{note}{text}".encode()))


def check_settings(path: Path) -> str:
    """Return the text of a configuration; DamagedError: it differs from its first line.

    A file without that line is taken as edited by a person.
    """
    content = path.read_bytes()
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
    """Read a configuration; an absent file has no keys."""
    if not path.exists():
        return {}
    value = yaml.safe_load(check_settings(path))
    return value if isinstance(value, dict) else {}
