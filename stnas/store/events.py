"""TensorBoard's files of events: scalars, appended to one file.

A record is its length (8 bytes), the masked CRC-32C of these, its content and the masked CRC-32C
of that, little-endian. The content is a protocol buffer ``Event``: wall_time (field 1, double),
step (2, int64), file_version (3, string) or summary (5) of one value (1): tag (1, string) and
simple_value (2, float).
"""

import math
import os
import struct
import time
from pathlib import Path

VERSION = "brain.Event:2"
ENDING = ".stnas"
"""Ending of the files that are made anew; those of others are left alone."""
_POLYNOMIAL = 0x82F63B78


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = [_entry(byte) for byte in range(256)]


def masked_crc(content: bytes) -> bytes:
    """Return CRC-32C, turned right by 15 bits, plus a constant: as records hold it."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def record(content: bytes) -> bytes:
    """Wrap an event."""
    length = struct.pack("<Q", len(content))
    return length + masked_crc(length) + content + masked_crc(content)


def varint(value: int) -> bytes:
    """Encode an integer in groups of 7 bits; a negative one as its complement in 64."""
    value &= 2**64 - 1
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def field(number: int, content: bytes) -> bytes:
    """Encode a field of some length."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def head(now: float) -> bytes:
    """Encode the event that a file begins with."""
    return struct.pack("<Bd", 1 << 3 | 1, now) + field(3, VERSION.encode())


def scalar(tag: str, value: float, *, step: int, now: float) -> bytes:
    """Encode the event of one number."""
    try:
        number = struct.pack("<Bf", 2 << 3 | 5, value)
    except OverflowError:  # more than a float32 holds
        number = struct.pack("<Bf", 2 << 3 | 5, math.copysign(math.inf, value))
    summary = field(5, field(1, field(1, tag.encode("utf-8", "replace")) + number))
    return struct.pack("<Bd", 1 << 3 | 1, now) + varint(2 << 3) + varint(step) + summary


class Events:
    """The file of events of one stage, begun anew; links are not followed.

    Raises OSError where it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        for place in (folder.parent, folder):
            if place.is_symlink():
                raise OSError(f"{place} is a symbolic link, which is not followed")
            place.mkdir(exist_ok=True)
        for old in folder.glob(f"events.out.tfevents.*{ENDING}"):
            old.unlink()
        now = time.time()
        self.file = folder / f"events.out.tfevents.{int(now):010d}{ENDING}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._place: int | None = os.open(self.file, flags, 0o666)
        self._append(head(now))

    def add(self, tag: str, value: float, *, step: int, now: float) -> None:
        """Append a number."""
        self._append(scalar(tag, value, step=step, now=now))

    def _append(self, event: bytes) -> None:
        assert self._place is not None
        content = record(event)
        while content:
            content = content[os.write(self._place, content) :]

    def close(self) -> None:
        """Close the file."""
        if self._place is not None:
            os.close(self._place)
            self._place = None
