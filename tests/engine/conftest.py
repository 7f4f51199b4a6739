"""Processes of a group, forked from the tests' own."""

import multiprocessing
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

from stnas.engine.process_group import ProcessGroup, joined

FORK = multiprocessing.get_context("fork")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def enter(rank: int, size: int, port: int, timeout: float, work: Any, answers: Any) -> None:
    place = {"RANK": rank, "WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()})
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    try:
        with joined(timeout) as group:
            answers.put((rank, work(group)))
    except BaseException as error:
        answers.put((rank, f"{type(error).__name__}: {error}"))


def run_in_processes(size: int, work: Callable[[ProcessGroup], Any], *, timeout: float = 60):
    """Return what a function of the group gives, or the error it ends with, by rank."""
    answers, port = FORK.Queue(), free_port()
    options = [(rank, size, port, timeout, work, answers) for rank in range(size)]
    workers = [FORK.Process(target=enter, args=args, daemon=True) for args in options]
    for worker in workers:
        worker.start()
    found = dict(answers.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join(timeout=20)
        worker.kill()
    return [found[rank] for rank in range(size)]


@pytest.fixture
def in_processes():
    return run_in_processes
