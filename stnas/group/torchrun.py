"""How a process that torchrun started joins its group, and how it ends."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import distributed
from torch.distributed import PrefixStore, rendezvous  # type: ignore[attr-defined]

from stnas.group.processes import PeerError, ProcessGroup, as_current, current


@contextmanager
def joined(timeout: float) -> Iterator[ProcessGroup]:
    """Join the group that torchrun started this process in; be alone without torchrun.

    Where the process fails, the others are told; one of them, and the leader, say so: the rest
    ends with SystemExit. timeout: seconds that the others are waited for.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield current()
        return
    wait = timedelta(seconds=timeout)
    store, rank, size = next(rendezvous("env://", timeout=wait))
    # The launcher's store outlives a restart, with the addresses of the processes before it.
    store = PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
    # Tensors on the processor go through gloo, those on a GPU through NCCL.
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(
        backend,
        store=PrefixStore("group", store),
        rank=rank,
        world_size=size,
        timeout=wait,
    )
    own = PrefixStore("stnas", store)
    group = ProcessGroup(rank, size, store=own, timeout=timeout)
    try:
        with as_current(group):
            yield group
    except (Exception, KeyboardInterrupt) as error:
        leave(group, error)
    distributed.destroy_process_group()


def end(group: ProcessGroup) -> None:
    """End a process of a group whose work is done; a process that is alone goes on.

    At once: torch's threads of the group may outlive their owners while the interpreter winds up,
    and then abort the process (seen with torch 2.13: "terminate called").
    """
    if group.size > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def leave(group: ProcessGroup, error: BaseException) -> None:
    """Raise what a process of a group ends with after an error: SystemExit where others say it."""
    if isinstance(error, KeyboardInterrupt):
        told = group.failure()
        if group.rank > 0:
            raise SystemExit(130) from error
        raise error if told is None else PeerError(told)
    own = not isinstance(error, PeerError) and not isinstance(error.__cause__, PeerError)
    says = own and group.fail(str(error))
    if group.rank == 0:
        raise error
    if says:
        raise RuntimeError(f"rank {group.rank}: {error}") from error
    raise SystemExit(1) from error
