"""Files are whole or absent, and damaged ones are refused by name."""

import errno
import json
import os

import pytest
import torch

from stnas.engine import files


def fail_with(code):
    def write(beside):
        beside.write_text("half")
        raise OSError(code, os.strerror(code))

    return write


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"x": 1})
    with pytest.raises(OSError, match=r"a\.json could not be written.*free some space"):
        files.write_whole(path, fail_with(errno.ENOSPC))
    assert files.read_json(path) == {"x": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(OSError, match=r"b\.json could not be written.*permissions"):
        files.write_whole(tmp_path / "b.json", fail_with(errno.EACCES))
    assert list(tmp_path.iterdir()) == []


def test_tensors_and_metadata_come_back(tmp_path):
    tensors = {"a": torch.arange(6.0).view(2, 3).T, "b": torch.tensor(3)}
    files.write_tensors(tmp_path / "t.safetensors", tensors, epochs=2, history=[{"loss": 0.5}])
    read, metadata = files.read_tensors(tmp_path / "t.safetensors")
    assert all(torch.equal(read[name], value) for name, value in tensors.items())
    assert metadata == {"version": 1, "epochs": 2, "history": [{"loss": 0.5}]}


@pytest.mark.parametrize("keep", [0, 4, 20, 100])
def test_truncated_tensors_are_refused(tmp_path, keep):
    path = tmp_path / "t.safetensors"
    files.write_tensors(path, {"a": torch.arange(100.0)})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"t\.safetensors is damaged"):
        files.read_tensors(path)


def test_foreign_tensors_are_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2)}, tmp_path / "t.safetensors")
    with pytest.raises(ValueError, match="not written by this version"):
        files.read_tensors(tmp_path / "t.safetensors")


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    files.write_tensors(path, torch.nn.Linear(2, 3).state_dict())
    with pytest.raises(ValueError, match="another network: 1 tensors differ, the first is weight"):
        files.load_weights_(torch.nn.Linear(4, 3), path)
    with pytest.raises(ValueError, match="another network"):
        files.load_weights_(torch.nn.Conv2d(1, 1, 1, bias=False), path)


def test_rows_come_back_without_a_torn_last_line(tmp_path):
    path = tmp_path / "rows.jsonl"
    files.write_rows(path, [{"a": 1}, {"a": 2}])
    with path.open("a") as file:
        file.write('{"a": 3')
    assert files.read_rows(path) == [{"a": 1}, {"a": 2}]
    assert files.read_rows(tmp_path / "none.jsonl") == []


def test_damaged_rows_and_json_are_refused(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n{"a":\n{"a": 3}\n')
    with pytest.raises(ValueError, match=r"rows\.jsonl, line 2 is damaged"):
        files.read_rows(tmp_path / "rows.jsonl")
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(ValueError, match=r"x\.json is damaged"):
        files.read_json(tmp_path / "x.json")
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(tmp_path / "y.json", {"loss": float("nan")})
    assert not (tmp_path / "y.json").exists()


def test_no_file_is_a_pickle(tmp_path):
    files.write_tensors(tmp_path / "t.safetensors", {"a": torch.zeros(2)})
    content = (tmp_path / "t.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert set(header) == {"a", "__metadata__"}
