"""The CUDA kernels on the emulator and, where there is one, on a GPU.

STNAS_SIM chooses the emulator's build: plain, sanitized or checked; STNAS_SIM_SOURCES takes the
sources from another copy of csrc. With STNAS_REQUIRE_CUDA=1 a missing GPU is a failure.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from quarters import write_quarters

import stnas.ops  # noqa: F401 registers torch.ops.stnas
from stnas.config import (
    Config,
    DataConfig,
    RankConfig,
    RetrainConfig,
    SearchConfig,
    SgldConfig,
    SpaceConfig,
    TrainConfig,
    VerdictConfig,
)

ROOT = Path(__file__).parents[2]
MODE = os.environ.get("STNAS_SIM", "plain")
SOURCES = Path(os.environ.get("STNAS_SIM_SOURCES", ROOT / "csrc"))
sys.path.insert(0, str(Path(__file__).parent))  # where the tests find blocks.py
FORWARD, REVERSE, SHUFFLED = 0, 1, 2
SCHEDULES = [(FORWARD, 0), (REVERSE, 0), (SHUFFLED, 1), (SHUFFLED, 2)]


@dataclass(frozen=True)
class Kernels:
    """The operators whose kernels are tested, and where their tensors must be."""

    ops: Any
    device: torch.device
    emulated: bool

    def schedules(self) -> Iterator[None]:
        """Let threads run in several orders; a GPU chooses its own, twice."""
        for order, seed in SCHEDULES if self.emulated else [(FORWARD, 0)] * 2:
            if self.emulated:
                self.ops.schedule(order, seed)
            yield
        if self.emulated:
            self.ops.schedule(FORWARD, 0)


@pytest.fixture(scope="session")
def emulator_library() -> str:
    """Build the kernels on the emulator; give the library's path."""
    if platform.machine() != "x86_64":
        pytest.skip(f"the emulator switches stacks on x86-64 alone, not on {platform.machine()}")
    if MODE == "sanitized" and "libasan" not in os.environ.get("LD_PRELOAD", ""):
        pytest.fail(
            "STNAS_SIM=sanitized needs libasan and libubsan in LD_PRELOAD: see docs/cuda.md"
        )
    folder = SOURCES.parent / "build/cusim" / MODE
    command = [sys.executable, str(SOURCES / "cusim/build.py"), "--mode", MODE, str(folder)]
    plain = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    done = subprocess.run(command, env=plain, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="session")
def emulator(emulator_library: str) -> Any:
    """Load the kernels on the emulator."""
    torch.ops.load_library(emulator_library)
    return torch.ops.stnas_sim


@pytest.fixture(scope="session")
def gpu_libraries(emulator_library: str) -> list[str]:
    """Build torch's device on top of the emulator; give the libraries in the order of loading."""
    if MODE != "plain":
        pytest.skip("whole runs are made by the plain emulator alone: they would take too long")
    command = [sys.executable, str(SOURCES / "cusim/build.py"), "--mode", "gpu"]
    folder = SOURCES.parent / "build/cusim/gpu"
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [emulator_library, done.stdout.strip()]


@pytest.fixture(params=["emulated", "cuda"])
def kernels(request: pytest.FixtureRequest) -> Kernels:
    """Give the emulated kernels, then those of the GPU."""
    if request.param == "emulated":
        return Kernels(request.getfixturevalue("emulator"), torch.device("cpu"), emulated=True)
    ready = torch.cuda.is_available() and bool(torch.ops.stnas.cuda_targets())
    if not ready and os.environ.get("STNAS_REQUIRE_CUDA") == "1":
        pytest.fail("STNAS_REQUIRE_CUDA=1, but there is no GPU, or stnas has no CUDA kernels")
    if not ready:
        pytest.skip("no GPU with CUDA kernels here")
    return Kernels(torch.ops.stnas, torch.device("cuda"), emulated=False)


@dataclass(frozen=True)
class Checked:
    """The emulator with its checker, which measures what loads and stores touch."""

    ops: Any

    def traffic(self, **wanted: Any) -> list[dict[str, Any]]:
        """Return what was measured since the last call at every line of these properties."""
        rows = json.loads(self.ops.traffic())
        return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


@pytest.fixture
def checked(emulator: Any) -> Checked:
    """Give the emulator with its checker, nothing measured yet."""
    if MODE != "checked":
        pytest.skip("traffic is measured with STNAS_SIM=checked")
    emulator.traffic()
    return Checked(emulator)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Configure a run of 52 images of 8x8 pixels, two blocks deep, without its folder."""
    file = tmp_path_factory.mktemp("small") / "quarters.npz"
    write_quarters(file, size=8, train=72, test=16)
    return Config(
        seed=3,
        space=SpaceConfig(
            profile="nano", stages=(2, 2), widths=(4, 8), tail_width=16, stem_stride=1
        ),
        data=DataConfig(path=str(file), validation=0.25, jitter=0.1, balance="weights"),
        train=TrainConfig(epochs=2, batch_size=16, learning_rate=0.5, momentum=0.5, ema=(0.9,)),
        sgld=SgldConfig(samples=2),
        search=SearchConfig(population=3, generations=2, recalibration_images=32, random=0),
        verdict=VerdictConfig(candidates=1, epochs=1, rounds=1),
        rank=RankConfig(
            architectures=4,
            truth_epochs=1,
            resamples=100,
            truth_seeds=1,
            shared_statistics_steps=2,
            ways=("ema-0.9", "posterior", "finetune-1", "probe-20"),
        ),
        retrain=RetrainConfig(
            epochs=1, batch_size=16, learning_rate=0.1, warmup_epochs=0.5, random_twins=0
        ),
    )
