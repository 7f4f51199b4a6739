"""A lock that one process holds, in a file that tells which.

By hand, not by ``filelock``: the file of that one is cut short by whoever only looks, so that it
cannot tell who holds it, and is one more way to empty a file through a link.
"""

import fcntl
import os
import platform
import re
import stat
from pathlib import Path

from stnas.store.advice import advice
from stnas.store.places import forget, kind_of

OWNER = re.compile(rb"(process \d+ on [^\n]*\n?)?")


class Lock:
    """The lock of a folder or of a piece of work; ``take`` it, then ``release`` it.

    path: its file, which must be a regular one that no other name leads to and that tells a
    process, or nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1

    def take(self) -> str | None:
        """Take the lock and return None, or tell who holds it.

        OSError: the file is none that this class makes, or cannot be made.
        """
        while True:
            descriptor = self._open()
            try:
                holder = self._hold(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            if holder is not None:
                os.close(descriptor)
                return holder
            if self._is_in_place(descriptor):
                self._file = descriptor
                return None
            os.close(descriptor)

    def release(self, *, remove: bool = False) -> None:
        """Let others take the lock. remove: the file goes, too."""
        if remove:
            forget(self.path)
        os.close(self._file)
        self._file = -1

    def _open(self) -> int:
        """Open the file, without following a link or waiting for a pipe's other end."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            if self.path.is_symlink() or self.path.is_dir():
                raise OSError(f"got {kind_of(self.path.lstat().st_mode)}")
            descriptor = os.open(self.path, flags, 0o644)
        except OSError as error:
            raise OSError(
                f"{self.path} must be a file that stnas can lock ({error}): remove it if it is "
                f"not yours, or {advice(error)}, or choose another folder"
            ) from error
        found = os.fstat(descriptor)
        own = stat.S_ISREG(found.st_mode) and found.st_nlink <= 1
        if not own or OWNER.fullmatch(os.pread(descriptor, 4096, 0)) is None:
            os.close(descriptor)
            what = "a file with other content, or with a second name"
            what = what if stat.S_ISREG(found.st_mode) else kind_of(found.st_mode)
            raise OSError(
                f"{self.path} must be the lock that stnas made, got {what}: move it away, or "
                "choose another folder"
            )
        return descriptor

    def _hold(self, descriptor: int) -> str | None:
        """Lock the open file and write down who holds it, or return what it tells."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "unknown"
        except OSError as error:
            raise OSError(f"{self.path} could not be locked ({error}): {advice(error)}") from error
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {platform.node()}\n".encode(), 0)
        except OSError as error:
            raise OSError(
                f"{self.path} could not be written ({error}): {advice(error)} and run the same "
                "command again"
            ) from error
        return None

    def _is_in_place(self, descriptor: int) -> bool:
        """Tell whether the file still is the one of that name: who held it may have removed it."""
        try:
            found = os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        own = os.fstat(descriptor)
        return (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)
