"""The files of a complete stage, as its result lists them: names, sizes and digests."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stnas.store.checksum import DamagedError
from stnas.store.files import check_origin, read_json, read_rows
from stnas.store.names import ARCHIVE, CONFIG, FRONT, MEAN, RESULT, SCORES, STATE, WEIGHTS, previous
from stnas.store.places import open_regular
from stnas.store.tensors import read_tensors

REPAIR = (
    "restore it from a copy, or delete it and its stage's result.json and run that stage again; "
    "what is whole is kept"
)

FIRST_FILES = {
    "train": (WEIGHTS,),
    "sgld": (MEAN,),
    "search": (ARCHIVE, FRONT),
    "rank": (SCORES,),
}
"""What each stage has left in any case."""


def stage_files(folder: Path) -> list[Path]:
    """List what a stage has made in its folder, but for its record, result and states."""
    return [
        file
        for file in sorted(folder.rglob("[!.]*"))
        if file.is_file() and file.name not in (CONFIG, RESULT, STATE, previous(STATE))
    ]


def listed(folder: Path, files: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Return size and SHA-256 of files, by their names inside a stage's folder."""
    return {file.relative_to(folder).as_posix(): facts(file) for file in files}


def facts(file: Path) -> dict[str, Any]:
    """Return the size of a file in bytes, and the SHA-256 of its content."""
    with open_regular(file) as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
        return {"bytes": content.tell(), "sha256": digest}


def check_listed(folder: Path, result: Mapping[str, Any]) -> None:
    """Raise FileNotFoundError or DamagedError for a file that is not as its result lists it."""
    for name, stated in result.get("files", {}).items():
        file = folder / name
        try:
            found = facts(file)
        except FileNotFoundError:
            raise FileNotFoundError(f"{file} is missing: {REPAIR}") from None
        if found != stated:
            reason = (
                f"it has {found['bytes']:,} bytes and not {stated['bytes']:,}"
                if found["bytes"] != stated["bytes"]
                else "its SHA-256 is not the one in result.json"
            )
            raise DamagedError(f"{file} is not what its stage has left ({reason}): {REPAIR}")


def check_first_version(folder: Path, origin: str) -> None:
    """Check the files of a complete stage whose result lists none, as version 1 wrote it."""
    for name in FIRST_FILES.get(folder.name, ()):
        if not (folder / name).exists():
            raise FileNotFoundError(f"{folder / name} is missing: {REPAIR}")
    for file in stage_files(folder):
        if file.suffix == ".jsonl":
            read_rows(file, origin=origin)
        elif file.suffix == ".json":
            check_origin(read_json(file), origin, file)
        elif file.suffix == ".safetensors":
            check_origin(read_tensors(file)[1], origin, file)
