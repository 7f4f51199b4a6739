"""A process in which ``cuda`` means the emulated GPU, torch's device ``emulated``, and work for it.

Autograd makes its threads for devices once, so the device has to be there before anything is
differentiated: work is done in processes of its own, forked from one that has imported all.
"""

import multiprocessing
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from io import StringIO
from types import ModuleType
from typing import Any

import torch
from whole_graph import Graph, capturing, seeded

from stnas.config import Config
from stnas.group import device

FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(["stnas.cli.pipeline"])
NAME = "emulated"


class Stream:
    """A stream of the emulated GPU, on which everything happens at once."""

    cuda_stream = 0

    def __init__(self, _: object = None) -> None:
        pass

    def wait_stream(self, _: "Stream") -> None:
        """Wait for nothing."""


class Event:
    """A moment of the emulated GPU; between two of them one millisecond passes."""

    def __init__(self, **_: object) -> None:
        pass

    def record(self) -> None:
        """Mark the moment."""

    def synchronize(self) -> None:
        """Wait for nothing."""

    def elapsed_time(self, _: "Event") -> float:
        """Return milliseconds."""
        return 1.0


@contextmanager
def on_stream(stream: Stream) -> Iterator[Stream]:
    """Let what is begun inside go to a stream."""
    yield stream


def backend() -> ModuleType:
    """Return what stands for ``torch.cuda``."""
    module: Any = ModuleType(f"torch.{NAME}")
    answers = {
        "is_available": True, "device_count": 1, "current_device": 0, "_is_in_bad_fork": False,
        "get_device_name": "emulated GPU", "get_device_capability": (9, 0), "set_device": None,
        "get_amp_supported_dtype": [torch.bfloat16],
        "current_stream": Stream(), "is_initialized": True, "synchronize": None,
        "max_memory_allocated": 0, "reset_peak_memory_stats": None,
    }  # fmt: skip
    for name, answer in answers.items():
        setattr(module, name, lambda *_, answer=answer: answer)
    module.Stream, module.stream, module.Event = Stream, on_stream, Event
    module.CUDAGraph, module.graph, module.manual_seed_all = Graph, capturing, seeded
    return module


def become(libraries: list[str]) -> None:
    """Let this process have the emulated GPU, and stnas take it for what it has kernels for."""
    for library in libraries:
        torch.ops.load_library(library)
    torch.utils.rename_privateuse1_backend(NAME)
    torch._register_device_module(NAME, backend())
    torch.Tensor.record_stream = lambda *_: None
    device.GPU = NAME
    device.targets = lambda: "sm_80, sm_90"
    torch.set_num_threads(1)


def waits() -> int:
    """Return how often the host has waited for the device since the last call."""
    return int(torch.ops.stnas_gpu.waits(True))


def _enter(libraries: list[str], work: Callable[..., Any], given: tuple[Any, ...], to: Any) -> None:
    try:
        become(libraries)
        to.put((True, work(*given)))
    except BaseException:
        to.put((False, traceback.format_exc()))


def on_emulated_gpu(libraries: list[str], work: Callable[..., Any], *given: Any) -> Any:
    """Return what a function of a module gives where there is an emulated GPU; raise its error."""
    answers = FORK.Queue()
    worker = FORK.Process(target=_enter, args=(libraries, work, given, answers), daemon=True)
    worker.start()
    done, found = answers.get(timeout=600)
    worker.join(timeout=20)
    worker.kill()
    if not done:
        raise RuntimeError(found)
    return found


def run_stages(config: Config, stages: tuple[str, ...]) -> str:
    """Run stages, one after the other; return what they printed."""
    with redirect_stdout(StringIO()) as printed:
        for stage in stages:
            import_module(f"stnas.{stage}").run(config)
    return printed.getvalue()


def waits_of_stages(config: Config, stages: tuple[str, ...]) -> dict[str, int]:
    """Run stages; return how often the host waited in each."""
    found = {}
    for stage in stages:
        waits()
        run_stages(config, (stage,))
        found[stage] = waits()
    return found
