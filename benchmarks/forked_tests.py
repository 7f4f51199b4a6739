"""Run tests in forks of one process that has imported them, once for each line that it reads.

Started by benchmarks/mutation.py: takes arguments of pytest, reads the seconds of processor
time that a run may take, a line each, and prints the run's exit status.
"""

import os
import resource
import sys

import pytest

import stnas.ops  # noqa: F401 loads the library before the forks

MEMORY = 8 << 30


def run(tests: list[str], seconds: int) -> None:
    """Run the tests in this process, in silence, and leave it."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if "libasan" not in os.environ.get("LD_PRELOAD", ""):  # which reserves terabytes
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os._exit(pytest.main(["-xq", "-p", "no:cacheprovider", *tests]))


def main() -> None:
    """Answer until the input ends."""
    tests = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    pytest.main(["-q", "--collect-only", "-p", "no:cacheprovider", *tests])
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(tests, int(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


if __name__ == "__main__":
    main()
