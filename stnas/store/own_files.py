"""Files that a command writes into any folder, and the record that tells them from others."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stnas.store.checksum import DamagedError, is_marked
from stnas.store.files import read_json, write_json, write_whole
from stnas.store.listing import facts
from stnas.store.places import check_place, open_regular

Facts = dict[str, Any]


def check_own(folder: Path, names: Iterable[str], *, record: str) -> None:
    """Raise FileExistsError where a file in a place to write is not as a command left it there.

    record: name of the file that lists what the command left.
    """
    known = left(folder, record)
    for file in (folder / name for name in names):
        check_place(file)
        if os.path.lexists(file) and (
            file.is_symlink() or facts(file) not in known.get(file.name, [])
        ):
            raise FileExistsError(
                f"{file} is there and is not as stnas left it: move it away, or name another place "
                "with --output"
            )


def left(folder: Path, record: str) -> dict[str, list[Facts]]:
    """Return the facts that the files of a command have, by name, as its record tells.

    The record is among them where it is whole. Without it nothing is known.
    """
    try:
        found = read_json(folder / record)
    except (FileNotFoundError, DamagedError):
        return {}
    if "command" not in found:
        return {}
    known = {name: [one] for name, one in found.get("files", {}).items()}
    for name, before in found.get("before", {}).items():
        known[name] = [*known.get(name, []), *before]
    return {**known, record: [facts(folder / record)]}


def write_own(
    folder: Path, contents: Mapping[str, bytes], *, record: str, value: Mapping[str, Any]
) -> None:
    """Write the files of a command and its record, which lists them and those left earlier.

    The record goes first, with what the files were ``before``: so what an interruption leaves is
    known, and the command may be tried again.
    """
    known = {name: one for name, one in left(folder, record).items() if name != record}
    there = {name: one for name, one in known.items() if (folder / name).is_file()}
    now = {name: stated(content) for name, content in contents.items()}
    files = {name: one[0] for name, one in there.items() if name not in now} | now
    write_json(folder / record, {**value, "files": files, "before": there})
    for name, content in contents.items():
        write_whole(folder / name, content)
    write_json(folder / record, {**value, "files": files})


def stated(content: bytes) -> Facts:
    """Return the facts of a file with this content."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def carries_mark(file: Path) -> bool:
    """Tell whether a file carries the checksum that stnas puts into what it writes, right or not.

    It stands at the beginning, of JSON lines at the end; no lines have none.
    """
    try:
        with open_regular(file) as content:
            head = content.read(4096)
            content.seek(max(0, file.stat().st_size - 100))
            return is_marked(content.read() if file.suffix == ".jsonl" else head)
    except (OSError, DamagedError):
        return False
