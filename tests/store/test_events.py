"""Files of events hold what TensorBoard's own definition of them reads."""

import os
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stnas.store.events import Events, masked_crc, record, scalar, varint


def records(content):
    """Cut a file into the contents of its records, and check both sums of each."""
    found = []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        assert masked_crc(content[:8]) == content[8:12]
        body, content = content[12 : 12 + length], content[12 + length :]
        assert masked_crc(body) == content[:4]
        found.append(body)
        content = content[4:]
    return found


def test_the_sum_is_that_of_the_published_example():
    # RFC 3720, B.4: CRC-32C of 32 zeros is 0x8a9136aa.
    crc = 0x8A9136AA
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert masked_crc(bytes(32)) == struct.pack("<I", masked)


@given(st.text(st.characters(codec="utf-8")), st.floats(), st.integers(0, 2**63 - 1))
def test_events_are_read_by_the_published_protocol(tag, value, step):
    events = pytest.importorskip("tensorboardX.proto.event_pb2", reason="tensorboardX is absent")
    event = events.Event.FromString(scalar(tag, value, step=step, now=12.5))
    found = event.summary.value[0]
    assert (event.wall_time, event.step, found.tag) == (12.5, step, tag)
    with np.errstate(over="ignore"):
        np.testing.assert_equal(found.simple_value, float(np.float32(value)))


def test_sums_are_those_of_tensorboardx():
    peer = pytest.importorskip("tensorboardX.record_writer", reason="tensorboardX is absent")
    for content in (b"", b"a", bytes(range(256))):
        assert masked_crc(content) == struct.pack("<I", peer.masked_crc32c(content))


@given(st.integers(0, 2**64 - 1))
def test_varints(value):
    encoded = varint(value)
    assert sum((byte & 0x7F) << 7 * i for i, byte in enumerate(encoded)) == value
    assert [byte >> 7 for byte in encoded] == [1] * (len(encoded) - 1) + [0]


def test_a_file_is_begun_anew_and_holds_every_number(tmp_path):
    folder = tmp_path / "tensorboard" / "train"
    for _ in range(2):
        events = Events(folder)
        for step in range(3):
            events.add("train/loss", step / 2, step=step, now=1.0)
        events.close()
        (file,) = folder.iterdir()
        assert len(records(file.read_bytes())) == 4


def test_other_files_stay(tmp_path):
    folder = tmp_path / "tensorboard" / "train"
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    Events(folder).close()
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("link", ["tensorboard", "tensorboard/train"])
def test_links_are_not_followed(tmp_path, link):
    victim, run = tmp_path / "victim", tmp_path / "run"
    (victim / "train").mkdir(parents=True)
    (victim / "train" / "events.out.tfevents.1.mine").write_text("mine")
    (victim / "events.out.tfevents.1.mine").write_text("mine")
    (run / link).parent.mkdir(parents=True)
    (run / link).symlink_to(victim)
    with pytest.raises(OSError, match="symbolic link"):
        Events(run / "tensorboard" / "train")
    assert sorted(file.read_text() for file in victim.rglob("*.mine")) == ["mine", "mine"]
    assert len(list(victim.rglob("*"))) == 3


def test_a_record_is_whole_however_little_the_system_takes(tmp_path, monkeypatch):
    events, write = Events(tmp_path / "tensorboard" / "train"), os.write
    monkeypatch.setattr(os, "write", lambda place, content: write(place, content[:5]))
    events.add("a", 1.0, step=1, now=2.0)
    assert len(records(events.file.read_bytes())) == 2
    assert record(b"") == bytes(8) + masked_crc(bytes(8)) + masked_crc(b"")
