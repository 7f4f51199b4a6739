"""A disk that fails at a call of one's choice, and one that forgets what was not synced."""

import errno
import io
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

CALLS = ("open", "write", "fsync", "ftruncate", "replace", "rename", "mkdir", "unlink")
ERRORS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.EMFILE)


class PowerOffError(BaseException):
    """Stands for the loss of power, after which nothing is done."""


class Disk:
    """Stands between a stage and the folder of its run, and counts its calls.

    at: the number of the call that fails; 0: none does. Those after it work again.
    """

    def __init__(self, root: Path, *, at: int = 0) -> None:
        self.root, self.at, self.calls = root.resolve(), at, 0
        self.code = ERRORS[at % len(ERRORS)]

    def __enter__(self) -> Self:
        self.patch = pytest.MonkeyPatch()
        self.real = {name: getattr(os, name) for name in CALLS}
        for name in CALLS:
            self.patch.setattr(os, name, self._wrapped(name))
        original = io.open

        def opened(path: Any, *words: Any, **more: Any) -> Any:
            self.call(path)
            file = original(path, *words, **more)
            self.begun(file.fileno())
            return Written(file, self) if file.writable() else file

        self.patch.setattr(io, "open", opened)
        return self

    def __exit__(self, *_: object) -> None:
        self.patch.undo()

    def call(self, target: Any) -> None:
        """Count a call on a path or descriptor in the folder, and let it fail if it is its turn."""
        if place_of(target).is_relative_to(self.root):
            self.calls += 1
            self.fail()

    def fail(self) -> None:
        """Raise an error of the system if it is time to."""
        if self.calls == self.at:
            raise OSError(self.code, os.strerror(self.code))

    def begun(self, descriptor: int) -> None:
        """Learn of a file that was opened."""

    def synced(self, descriptor: int) -> None:
        """Learn of a file or folder that was synced."""

    def _wrapped(self, name: str) -> Callable[..., Any]:
        def call(target: Any, *words: Any, **more: Any) -> Any:
            self.call(target)
            answer = self.real[name](target, *words, **more)
            if name == "open":
                self.begun(answer)
            if name == "fsync":
                self.synced(target)
            return answer

        return call


def place_of(target: Any) -> Path:
    """Return the path of a path or descriptor."""
    if isinstance(target, int):
        return Path(os.readlink(f"/proc/self/fd/{target}"))
    return Path(os.path.abspath(os.fspath(target)))


class Written:
    """A file that is open for writing; a write that fails leaves the half of it."""

    def __init__(self, file: Any, disk: Disk) -> None:
        self.file, self.disk = file, disk

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def write(self, content: Any) -> int:
        """Write all of it or, where the disk fails, half of it."""
        try:
            self.disk.call(self.file.fileno())
        except BaseException:
            self.file.write(content[: len(content) // 2])
            raise
        return int(self.file.write(content))


class ForgetfulDisk(Disk):
    """A disk whose power goes at a call, and which then has what was synced and nothing else.

    That is a file's content as of its last sync, under the names in its folder as of the folder's.
    """

    def __init__(self, root: Path, *, at: int) -> None:
        super().__init__(root, at=at)
        self.contents: dict[int, bytes] = {}
        self.folders: dict[Path, dict[str, bytes | None]] = {}
        for place, _, names in os.walk(self.root):
            files = [Path(place, name) for name in names]
            self.contents |= {file.stat().st_ino: file.read_bytes() for file in files}
            self._keep(Path(place))

    def fail(self) -> None:
        """End the work at the call, and whatever it does while it ends."""
        if self.calls >= self.at:
            raise PowerOffError

    def begun(self, descriptor: int) -> None:
        """Forget the content that an earlier file with the number of an empty one had."""
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and not found.st_size:
            self.contents.pop(found.st_ino, None)

    def synced(self, descriptor: int) -> None:
        """Keep a file's content or a folder's names."""
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            self._keep(place_of(descriptor))
        else:
            with self.real_open(descriptor) as file:
                self.contents[found.st_ino] = file.read()

    def real_open(self, descriptor: int) -> io.FileIO:
        """Open the file of a descriptor anew, uncounted."""
        return io.FileIO(f"/proc/self/fd/{descriptor}")

    def _keep(self, folder: Path) -> None:
        self.folders[folder] = {
            entry.name: None if entry.is_dir() else self.contents.get(entry.inode(), b"")
            for entry in os.scandir(folder)
        }

    def restore(self) -> None:
        """Leave in the folder what was synced."""
        shutil.rmtree(self.root, ignore_errors=True)
        self._restore(self.root)

    def _restore(self, folder: Path) -> None:
        folder.mkdir()
        for name, content in self.folders.get(folder, {}).items():
            if content is None:
                self._restore(folder / name)
            else:
                (folder / name).write_bytes(content)
