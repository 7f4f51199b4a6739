"""What ``stnas latency`` measures."""

from dataclasses import dataclass
from typing import Literal, get_args

from stnas.config import rules

Backend = Literal["onnx", "kernels", "eager", "openvino"]


@dataclass(frozen=True)
class LatencyOptions:
    """Which program computes the networks, and how many of them are measured."""

    network: str = ""
    """A run whose hyper-network is trained; may stand without its option."""
    backend: Backend = "onnx"
    """What computes the networks: `onnx` (ONNX Runtime), `kernels` (our compiled operators),
    `eager` (plain PyTorch) or `openvino`. `--threads` says on how many threads. `kernels` and
    `eager` compute on a GPU with `--device cuda`."""
    batch: int = 1
    """Images of a call."""
    networks: int = 60
    """Random networks that are measured whole: half of them fit the table, the others tell how far
    it can be trusted."""
    rounds: int = 9
    """Times that everything is measured; the least counts, which other work disturbs least."""
    output: str | None = None
    """File of the table; default: RUN/latency/BACKEND-batch-N-threads-N.json, on a GPU
    BACKEND-batch-N-cuda.json."""

    def __post_init__(self) -> None:
        """Check the options."""
        rules.one_of("backend", self.backend, get_args(Backend))
        rules.at_least("batch", self.batch, 1)
        rules.at_least("networks", self.networks, 12)
        rules.at_least("rounds", self.rounds, 1)
