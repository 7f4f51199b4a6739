"""Files that are either whole or absent: written beside, synced, renamed."""

import errno
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from stnas.engine.process_group import led


@led
def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` make the file beside its place, sync it and rename it into place.

    Of several processes the leader does it, and all go on when it is done.
    Raises OSError that names the file and the repair; nothing half-written stays behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(beside)
        beside.chmod(0o644)
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except (OSError, SafetensorError) as error:
        repair = "free some space" if is_full(error) else "check the folder's permissions"
        raise OSError(
            f"{path} could not be written ({error}): {repair} and run the same command again; "
            "the files written before are untouched"
        ) from error
    finally:
        beside.unlink(missing_ok=True)


def is_full(error: Exception) -> bool:
    """Tell whether an error says that the disk is full."""
    return getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8."""

    def write(beside: Path) -> None:
        beside.write_text(text, encoding="utf-8")

    write_whole(path, write)


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON; NaN and infinities are refused."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; ValueError names the file and where it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path} is damaged ({error}): delete it and run its stage again"
        ) from None


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write one JSON object a line."""
    write_text(path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read one JSON object a line; a missing file has none, a torn last line is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    rows = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            raise ValueError(
                f"{path}, line {number} is damaged: delete the file and run its stage again"
            ) from None
    return rows


def write_tensors(path: Path, tensors: Mapping[str, Tensor], **metadata: object) -> None:
    """Write tensors as safetensors, with metadata as JSON."""
    whole = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    text = {"stnas": json.dumps({"version": 1, **metadata})}
    write_whole(path, lambda beside: save_file(whole, str(beside), metadata=text))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and metadata; ValueError names the file if it is damaged or foreign."""
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = json.loads((file.metadata() or {}).get("stnas", "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is damaged ({error}): run its stage again") from None
    if not isinstance(metadata, dict) or metadata.get("version") != 1:
        raise ValueError(f"{path} was not written by this version of stnas (metadata {metadata})")
    return tensors, metadata


def load_weights_(module: torch.nn.Module, path: Path) -> dict[str, Any]:
    """Load a module's parameters and buffers from a file and return the file's metadata."""
    tensors, metadata = read_tensors(path)
    expected = module.state_dict()
    wrong = sorted(set(tensors) ^ set(expected)) or [
        name for name, tensor in tensors.items() if tensor.shape != expected[name].shape
    ]
    if wrong:
        raise ValueError(
            f"{path} holds the weights of another network: {len(wrong)} tensors differ, "
            f"the first is {wrong[0]}: use the run folder that made it"
        )
    module.load_state_dict(tensors)
    return metadata
