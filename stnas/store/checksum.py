"""Checksums inside files: every file of a run tells whether it is as it was written."""

import hashlib
import re

VERSION = 2
"""Version of the files' form, written into each beside the checksum."""
READABLE = (1, 2)
"""Versions that are read."""
BLANK = "0" * 16
"""What stands in the place of the checksum before it is known."""
_PLACE = re.compile(rb'checksum(?:\\?")?: (?:\\?")?([0-9a-f]{16})')
_REACH = 4096


class DamagedError(ValueError):
    """A file is not as stnas wrote it."""


def damaged(place: object, reason: object) -> DamagedError:
    """Make the error for a file of a stage, with what repairs it."""
    return DamagedError(
        f"{place} is damaged ({reason}): restore it from a copy, or delete it and its stage's "
        "result.json and run that stage again; what is whole is kept"
    )


def digest(*parts: bytes | memoryview) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the parts, one after the other."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part)
    return total.hexdigest()[:16]


def seal(content: bytes) -> bytearray:
    """Put the checksum over the zeros in the first ``checksum: 0000000000000000``.

    It covers every byte, its own taken as zeros; quotes around word and digits may be escaped.
    """
    place = _PLACE.search(content, 0, _REACH)
    assert place is not None
    assert place[1].decode() == BLANK
    sealed = bytearray(content)
    sealed[place.start(1) : place.end(1)] = digest(content).encode()
    return sealed


def broken(content: bytes) -> str | None:
    """Say what is wrong with the content of a sealed file; None: nothing."""
    if not content:
        return "it is empty"
    place = _PLACE.search(content, 0, _REACH)
    if place is None:
        return "it has no checksum at its beginning, so stnas did not write it"
    view = memoryview(content)
    found = digest(view[: place.start(1)], BLANK.encode(), view[place.end(1) :])
    stated = place[1].decode()
    return None if found == stated else f"its checksum is {found} and not {stated}"


def is_marked(content: bytes) -> bool:
    """Tell whether a checksum stands in a piece of a file."""
    return _PLACE.search(content) is not None
