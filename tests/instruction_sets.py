"""Tests of operators that are run again with every instruction set of this processor."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch

import stnas.ops  # noqa: F401 registers torch.ops.stnas


def with_every_instruction_set(test: Callable[..., Any]) -> Callable[..., Any]:
    """Give a test each instruction set as ``isa``, but the best, which all other tests have."""
    sets = pytest.mark.parametrize("isa", torch.ops.stnas.isas().split()[:-1])
    chosen = "STNAS_ISA" in os.environ
    return pytest.mark.skipif(chosen, reason="an outer run has chosen the set")(sets(test))


def run_python(code: str, isa: str) -> subprocess.CompletedProcess[str]:
    """Run a program on one thread with an instruction set."""
    environment = os.environ | {"STNAS_ISA": isa, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )


def check_tests(isa: str, *files: str, names: str = "") -> None:
    """Run the tests of files whose names match, as pytest's -k does, and require that all pass."""
    words = ["-q", "-x", *files, *(["-k", names] if names else [])]
    result = run_python(f"import sys, pytest; sys.exit(pytest.main({words!r}))", isa)
    assert result.returncode == 0, result.stdout[-2000:]
