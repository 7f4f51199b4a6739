"""Freed memory goes back to the system."""

import platform
import subprocess
import sys

import pytest
import torch

from stnas.learn import scoring
from stnas.space import SearchSpace
from stnas.supernet import SuperNet

needs_glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="the C library is not glibc"
)
STEPS = """
import resource, sys
import numpy as np
from stnas.learn.heap import keep_pages
if sys.argv[1] == "keep":
    keep_pages()
for step in range(5):
    if step == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [np.ones(4_000_000, np.uint8) for _ in range(20)]
    del tensors
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
HOLES = """
import sys
from pathlib import Path
import numpy as np
from stnas.learn.heap import release
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
kept, freed = [], []
for _ in range(1000):
    freed.append(np.ones(100_000, np.uint8))
    kept.append(np.ones(2_000, np.uint8))
before = resident()
del freed
if sys.argv[1] == "release":
    release()
returned = before - resident()
assert sum(int(block[-1]) for block in kept) == 1000
print(returned)
"""


def printed(script: str, *names: str) -> list[int]:
    """Run a script with each of some words; in a process of its own, whose heap is empty."""
    runs = [[sys.executable, "-c", script, name] for name in names]
    return [int(subprocess.run(r, capture_output=True, check=True).stdout) for r in runs]


@needs_glibc
def test_steps_get_the_pages_of_the_steps_before():
    keep, plain = printed(STEPS, "keep", "plain")
    assert keep < plain / 10


@needs_glibc
def test_holes_between_blocks_in_use_are_returned():
    released, plain = printed(HOLES, "release", "plain")
    assert plain < 20_000_000 < 80_000_000 < released


def test_scoring_returns_what_it_has_freed(monkeypatch):
    supernet = SuperNet(SearchSpace.profile("nano", image_size=8, in_channels=1, num_classes=4))
    images = torch.randn(4, 1, 8, 8)
    asked = []
    monkeypatch.setattr(scoring, "release", lambda: asked.append(True))
    scorer = scoring.Scorer([supernet, supernet], [images], [(images, torch.arange(4))])
    scorer(supernet.space.sample(2, p_drop=0.5, seed=0))
    assert len(asked) == 2, "once for each of the weights"
