"""Files in folders that others may have filled: opened without following links or waiting."""

import os
import platform
import re
import secrets
import stat
from io import BufferedReader
from pathlib import Path

from stnas.store.checksum import DamagedError

KINDS = {
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a named pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
    stat.S_ISLNK: "a symbolic link",
}


def host() -> str:
    """Name this machine since it was started, and its space of process numbers.

    Containers have a space of their own, and machines that have one name were started apart.
    """
    try:
        space = os.stat("/proc/self/ns/pid").st_ino
        start = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    except OSError:
        space, start = 0, ""
    node = re.sub(r"[^A-Za-z0-9]+", "-", platform.node())[:40]
    return f"{node}-{start}-{space:x}"


def beside(path: Path) -> Path:
    """Name a file to write first, in the folder of ``path``; nobody can guess it."""
    return path.with_name(f".stnas-{host()}-{os.getpid()}-{secrets.token_hex(8)}.part")


def is_left_over(name: str) -> bool:
    """Tell whether a name is one that a process of this host made that is gone."""
    found = re.fullmatch(rf"\.stnas-{re.escape(host())}-(\d{{1,10}})-[0-9a-f]{{16}}\.part", name)
    if found is None or int(found[1]) == os.getpid():
        return False
    try:
        os.kill(int(found[1]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def sweep(folder: Path) -> None:
    """Remove what processes that are gone left half-written in a folder and those inside it.

    Links are not followed, and nothing but their regular files is removed.
    """
    if folder.is_symlink():
        return
    for place, _, names in os.walk(folder):
        for name in names:
            file = Path(place) / name
            if is_left_over(name) and stat.S_ISREG(file.lstat().st_mode):
                forget(file)


def forget(file: Path) -> None:
    """Remove a file if it is there and can be removed."""
    try:
        file.unlink(missing_ok=True)
    except OSError:
        return


def kind_of(mode: int) -> str:
    """Say what lies in a file's place."""
    return next((words for test, words in KINDS.items() if test(mode)), "no file")


def refuse_kind(path: Path, mode: int) -> None:
    """Raise unless a mode is a regular file's."""
    if not stat.S_ISREG(mode):
        raise DamagedError(
            f"{path} must be a file, got {kind_of(mode)}: move it away and run the same command "
            "again, or restore the file from a copy"
        )


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file to read; DamagedError for a folder or a pipe in its place, no wait."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        refuse_kind(path, os.fstat(descriptor).st_mode)
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_content(path: Path) -> bytes:
    """Read a regular file; DamagedError for a folder or a pipe in its place, no wait."""
    with open_regular(path) as file:
        return file.read()


def check_place(path: Path) -> None:
    """Raise unless nothing, or a regular file or a link, lies where a file is to be written."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if not stat.S_ISLNK(mode):
        refuse_kind(path, mode)


def check_own_folders(folder: Path, names: list[str]) -> None:
    """Raise where a folder inside a run's is a link: work would be written outside the run."""
    for name in names:
        place = folder / name
        links = [place] if place.is_symlink() else links_inside(place)
        if links:
            raise ValueError(
                f"{links[0]} must be a folder of its own, got a symbolic link: replace it by the "
                "folder, or put the whole run elsewhere with --run"
            )


def links_inside(folder: Path) -> list[Path]:
    """List the links to folders inside a folder."""
    return [
        Path(place) / name
        for place, names, _ in os.walk(folder)
        for name in names
        if (Path(place) / name).is_symlink()
    ]
