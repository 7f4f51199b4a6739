"""What to do about an error of the operating system, by its number."""

import errno

_ADVICE = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "your disk quota is used up: remove files of yours or have it raised",
    errno.EFBIG: "raise the limit on the size of a file (`ulimit -f`, or the file system's own)",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.EIO: "the disk failed: look at the system's log, choose a folder on another disk",
    errno.ENOLCK: "the file system has no locks: choose a folder on another one",
    errno.EMFILE: "raise the limit on open files (`ulimit -n`)",
    errno.ENFILE: "the system has too many open files: close other programs",
    errno.ENOMEM: "free some memory",
    errno.EROFS: "the file system can only be read: choose another folder",
    errno.EACCES: "check the permissions",
    errno.EPERM: "check the permissions",
    errno.ELOOP: "a symbolic link stands in the place: remove it",
    errno.EISDIR: "a folder stands in the place of the file: move it away",
    errno.ENOTDIR: "a file stands in the place of the folder: move it away",
    errno.EEXIST: "something else stands in the place: move it away",
    errno.ESTALE: "the network's file system lost the file: mount it again",
}


def advice(error: OSError) -> str:
    """Return what to do about an error before the same command is tried again."""
    return _ADVICE.get(error.errno or 0, "mend that")


def of_the_machine(error: Exception) -> bool:
    """Tell whether an error is of the machine, and says nothing of the file that was read."""
    scarce = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in scarce)


def known(error: OSError) -> bool:
    """Tell whether there is advice about the number of an error."""
    return error.errno in _ADVICE
