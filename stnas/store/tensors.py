"""Weights and states on disk: safetensors with a checksum, whose metadata is a JSON object."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.numpy import save
from safetensors.torch import load
from torch import Tensor

from stnas.store.checksum import BLANK, VERSION, damaged, seal
from stnas.store.files import check_origin, checked_object, whole_content, write_whole


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], *, previous: Path | None = None, **metadata: object
) -> None:
    """Write tensors as safetensors, with the metadata as one JSON object under ``stnas``."""
    write_whole(path, encoded_tensors(tensors, **metadata), previous=previous)


def encoded_tensors(tensors: Mapping[str, Tensor], **metadata: object) -> bytearray:
    """Return what ``write_tensors`` writes."""
    arrays = {name: value.detach().contiguous().cpu().numpy() for name, value in tensors.items()}
    text = json.dumps({"checksum": BLANK, "version": VERSION, **metadata}, allow_nan=False)
    return seal(save(arrays, metadata={"stnas": text}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and metadata; DamagedError names the file if it is damaged or foreign."""
    content = whole_content(path)
    try:
        tensors = dict(sorted(load(content).items()))
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        text = header["__metadata__"]["stnas"]
    except (SafetensorError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise damaged(path, error) from None
    return tensors, checked_object(path, text)


def load_weights_(
    module: torch.nn.Module, path: Path, *, origin: str | None = None
) -> dict[str, Any]:
    """Load a module's parameters and buffers from a file and return the file's metadata.

    origin: what the file must belong to; None: anything.
    """
    tensors, metadata = read_tensors(path)
    if origin is not None:
        check_origin(metadata, origin, path)
    load_tensors_(module, tensors, path)
    return metadata


def load_tensors_(module: torch.nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Load a module's parameters and buffers; ValueError if they are those of another network."""
    expected = module.state_dict()
    wrong = sorted(set(tensors) ^ set(expected)) or [
        name for name, tensor in tensors.items() if tensor.shape != expected[name].shape
    ]
    if wrong:
        raise ValueError(
            f"{path} holds the weights of another network: {len(wrong)} tensors differ, "
            f"the first is {wrong[0]}: use the run folder that made it"
        )
    module.load_state_dict(dict(tensors))
