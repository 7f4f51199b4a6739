"""Files are whole or absent, and damaged ones are refused by name."""

import errno
import json
import os
from functools import partial

import pytest
import torch
from safetensors.torch import save_file

from stnas.config.values import UsageError
from stnas.store import files
from stnas.store.checksum import DamagedError
from stnas.store.settings import read_settings, sealed_settings
from stnas.store.tensors import load_weights_, read_tensors, write_tensors


def failing(code):
    def fsync(descriptor):
        raise OSError(code, os.strerror(code))

    return fsync


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    files.write_json(path, {"x": 1})
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    with pytest.raises(OSError, match=r"a\.json could not be written.*free some space"):
        files.write_json(path, {"x": 2})
    assert files.read_json(path) == {"version": 2, "x": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", failing(errno.EACCES))
    with pytest.raises(OSError, match=r"b\.json could not be written.*permissions"):
        files.write_text(tmp_path / "b.json", "x")
    assert list(tmp_path.iterdir()) == []


def test_the_file_before_is_kept(tmp_path):
    path, previous = tmp_path / "a", tmp_path / "b"
    for content in (b"1", b"2", b"3"):
        files.write_whole(path, content, previous=previous)
    assert (path.read_bytes(), previous.read_bytes()) == (b"3", b"2")


def test_tensors_and_metadata_come_back(tmp_path):
    tensors = {"a": torch.arange(6.0).view(2, 3).T, "b": torch.tensor(3)}
    write_tensors(tmp_path / "t.safetensors", tensors, epochs=2, history=[{"loss": 0.5}])
    read, metadata = read_tensors(tmp_path / "t.safetensors")
    assert all(torch.equal(read[name], value) for name, value in tensors.items())
    assert metadata == {"version": 2, "epochs": 2, "history": [{"loss": 0.5}]}


def written(path):
    """Write a small file of the kind that the ending names; return what reads it."""
    if path.suffix == ".json":
        files.write_json(path, {"a": 0.5, "checksum of": "a"})
        return files.read_json
    if path.suffix == ".jsonl":
        files.write_rows(path, [{"a": 0.5}, {"a": 1}], origin="x")
        return partial(files.read_rows, origin="x")
    if path.suffix == ".yaml":
        files.write_whole(path, sealed_settings({"seed": 3, "space": {"widths": [8, 12]}}))
        return read_settings
    write_tensors(path, {"a": torch.arange(2.0), "b": torch.tensor(3)}, epochs=2)
    return read_tensors


def test_rows_that_are_encoded_in_parts_make_the_same_file(tmp_path):
    rows = [{"a": value, "b": str(value)} for value in range(7)]
    files.write_rows(tmp_path / "whole.jsonl", rows, origin="x")
    lines, mark = b"", "x"
    for part in (rows[:3], [], rows[3:]):
        added, mark = files.encode_rows(part, before=mark)
        lines += added
    assert lines == (tmp_path / "whole.jsonl").read_bytes()


KINDS = ("a.json", "a.jsonl", "a.yaml", "a.safetensors")


@pytest.mark.parametrize("name", KINDS)
def test_every_changed_bit_and_every_truncation_is_found(tmp_path, name):
    path = tmp_path / name
    read = written(path)
    good, value = path.read_bytes(), read(path)
    for bit in range(8 * len(good)):
        content = bytearray(good)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        with pytest.raises(DamagedError, match=r"a\.json|a\.yaml|a\.safetensors"):
            read(path)
    rows = good.splitlines() if name == "a.jsonl" else []
    whole = {b"\n".join(rows[:n]) for n in range(len(rows) + 1)} if rows else set()
    for end in range(len(good)):
        path.write_bytes(good[:end])
        if good[:end].rstrip(b"\n") not in whole:
            with pytest.raises(DamagedError):
                read(path)
    path.write_bytes(good)
    assert repr(read(path)) == repr(value)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("content", [b"\x00" * 300, b"[1, 2]\n", b"\x80\x02}q\x00.", b"a" * 5000])
def test_foreign_files_are_refused(tmp_path, name, content):
    read = written(tmp_path / name)
    (tmp_path / name).write_bytes(content)
    wanted = (DamagedError, UsageError) if name == "a.yaml" else DamagedError
    with pytest.raises(wanted, match=name):
        read(tmp_path / name)


def test_a_file_that_is_missing_says_how_to_get_it_back(tmp_path):
    for read in (files.read_json, read_tensors):
        with pytest.raises(FileNotFoundError, match=r"x is missing: restore it.*run that stage"):
            read(tmp_path / "x")


def test_foreign_tensors_are_refused(tmp_path):
    save_file({"a": torch.zeros(2)}, tmp_path / "t.safetensors")
    with pytest.raises(DamagedError, match="no checksum"):
        read_tensors(tmp_path / "t.safetensors")


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    write_tensors(path, torch.nn.Linear(2, 3).state_dict())
    with pytest.raises(ValueError, match="another network: 1 tensors differ, the first is weight"):
        load_weights_(torch.nn.Linear(4, 3), path)
    with pytest.raises(ValueError, match="another network"):
        load_weights_(torch.nn.Conv2d(1, 1, 1, bias=False), path)


def test_rows_come_back_and_damaged_lines_are_none(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [{"a": number} for number in range(4)]
    files.write_rows(path, rows)
    assert files.read_rows(path) == files.scan_rows(path) == rows
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines) + b'{"a": 3')
    assert files.scan_rows(path) == [*rows, None]
    path.write_bytes(lines[0] + lines[1].replace(b"1", b"7", 1) + lines[2] + lines[3])
    assert files.scan_rows(path) == [{"a": 0}, None, {"a": 2}, {"a": 3}]
    with pytest.raises(DamagedError, match=r"rows\.jsonl, line 2 is damaged"):
        files.read_rows(path)
    path.write_bytes(lines[0] + lines[2] + lines[3])
    assert files.scan_rows(path) == [{"a": 0}, None, {"a": 3}]
    assert files.read_rows(tmp_path / "none.jsonl") == []


def test_numbers_that_json_lacks_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(tmp_path / "y.json", {"loss": float("nan")})
    assert not (tmp_path / "y.json").exists()


def test_no_file_is_a_pickle(tmp_path):
    write_tensors(tmp_path / "t.safetensors", {"a": torch.zeros(2)})
    content = (tmp_path / "t.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert set(header) == {"a", "__metadata__"}
