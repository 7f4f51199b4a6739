"""Files that are either whole or absent: written beside, synced, renamed, with a checksum."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from stnas.store.advice import advice
from stnas.store.checksum import (
    BLANK,
    READABLE,
    VERSION,
    DamagedError,
    broken,
    damaged,
    digest,
    seal,
)
from stnas.store.places import beside, check_place, forget, read_content


def write_whole(path: Path, content: bytes | bytearray, *, previous: Path | None = None) -> None:
    """Write the file beside its place, sync it and rename it into place.

    previous: where the file that is in the place goes first. Raises OSError that names the file
    and the repair; nothing half-written stays behind, and no link is followed.
    """
    check_place(path)
    part = beside(path)
    try:
        make_folder(path.parent)
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if previous is not None and os.path.lexists(path):
            path.replace(previous)
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise OSError(
            f"{path} could not be written ({error}): {advice(error)} and run the same command "
            "again; the files written before are untouched"
        ) from error
    finally:
        forget(part)


def make_folder(folder: Path) -> None:
    """Make a folder, and those that it lies in, under names that outlast a loss of power."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder outlast a loss of power."""
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def encoded(text: str) -> bytes:
    """Return a text in UTF-8; bytes of names that are not are written by their numbers."""
    return text.encode(errors="backslashreplace")


def write_text(path: Path, text: str) -> None:
    """Write a text file, as ``encoded``."""
    write_whole(path, encoded(text))


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write an object as indented JSON, its checksum first; NaN and infinities are refused."""
    head = {"checksum": BLANK, "version": VERSION}
    text = json.dumps({**head, **value}, indent=1, allow_nan=False) + "\n"
    write_whole(path, seal(text.encode()))


def read_json(path: Path) -> dict[str, Any]:
    """Read what ``write_json`` wrote; DamagedError names the file and what is wrong."""
    return checked_object(path, whole_content(path))


def whole_content(path: Path) -> bytes:
    """Read a sealed file; FileNotFoundError or DamagedError say how to get it back."""
    try:
        content = read_content(path)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path} is missing: restore it from a copy, or delete its stage's result.json and "
            "run that stage again; what is whole is kept"
        ) from None
    if reason := broken(content):
        raise damaged(path, reason)
    return content


def checked_object(path: Path, content: bytes | str) -> dict[str, Any]:
    """Parse a JSON object of a version that is known and take its checksum out."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise damaged(path, error) from None
    if not isinstance(value, dict) or value.get("version") not in READABLE:
        version = value.get("version") if isinstance(value, dict) else None
        raise DamagedError(
            f"{path} was not written by this version of stnas (version {version!r}, not "
            f"{' or '.join(map(str, READABLE))}): read it with the release that wrote it, or use "
            "another --run"
        )
    value.pop("checksum", None)
    return value


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]], *, origin: str = "") -> None:
    """Write one JSON object a line; its checksum covers it and the checksum of the line before.

    origin: stands for the checksum before the first line, and so marks what the rows belong to.
    """
    write_whole(path, encode_rows(rows, before=origin)[0])


def encode_rows(rows: Sequence[Mapping[str, Any]], *, before: str) -> tuple[bytes, str]:
    """Return the lines behind one with the checksum ``before``, and the checksum of the last."""
    lines = []
    for row in rows:
        body = json.dumps({**row, "version": VERSION}, allow_nan=False)[:-1]
        before = digest(before.encode(), body.encode())
        lines.append(f'{body}, "checksum": "{before}"}}\n')
    return "".join(lines).encode(), before


def scan_rows(path: Path, *, origin: str | None = "") -> list[dict[str, Any] | None]:
    """Read the lines of ``write_rows``, None for a damaged one; a missing file has none.

    origin: None takes the first line on trust.
    """
    if not path.exists():
        return []
    lines = read_content(path).split(b"\n")
    if not lines[-1]:
        lines.pop()
    marks = [line.rpartition(b' "')[2][:-2] for line in lines]
    before = [None if origin is None else origin.encode(), *marks]
    return [verified_row(line, mark) for line, mark in zip(lines, before, strict=False)]


def rows_before_damage(
    file: Path, *, origin: str, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Return the rows before the first damaged one, and say where that is."""
    lines = scan_rows(file, origin=origin)
    rows = [row for row in takewhile(lambda line: line is not None, lines) if row is not None]
    if len(rows) < len(lines):
        say(f"{file}, line {len(rows) + 1} is damaged: going on from the {len(rows)} before it")
    return rows


def verified_row(line: bytes, before: bytes | None) -> dict[str, Any] | None:
    """Parse a line; None where it does not agree with its checksum and that of the line before."""
    body, _, mark = line.rpartition(b', "checksum": "')
    if before is not None and mark != digest(before, body).encode() + b'"}':
        return None
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or row.pop("version", None) not in READABLE:
        return None
    row.pop("checksum", None)
    return row


def read_rows(path: Path, *, origin: str | None = "") -> list[dict[str, Any]]:
    """Read what ``write_rows`` wrote; DamagedError names the file and its first damaged line."""
    lines = scan_rows(path, origin=origin)
    rows = [row for row in lines if row is not None]
    if len(rows) < len(lines):
        raise damaged(f"{path}, line {lines.index(None) + 1}", "it differs from its checksum")
    return rows


def check_origin(metadata: Mapping[str, Any], origin: str, path: Path) -> None:
    """Raise ValueError if a file belongs to other work than ``origin`` marks."""
    if metadata.get("origin") != origin:
        raise DamagedError(
            f"{path} belongs to another run: restore the right one from a copy, or delete it and "
            "its stage's result.json and run that stage again; what is whole is kept"
        )


def check_identity(found: Mapping[str, Any], path: Path, **wanted: object) -> None:
    """Raise DamagedError if a file tells that it holds something else than what is wanted."""
    for name, value in wanted.items():
        if found.get(name, value) != value:
            raise DamagedError(
                f"{path} holds {name} {found[name]} and not {value}: restore the right one from a "
                "copy, or delete it and its stage's result.json and run that stage again; what is "
                "whole is kept"
            )
