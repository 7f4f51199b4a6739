"""Measure every part and some networks of a space, fit a table, and write it for the search."""

from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stnas.config import Config
from stnas.config.latency import LatencyOptions
from stnas.group.device import HOST, kind_of
from stnas.latency.backends import (
    Call,
    call_of,
    check_installed,
    device_for,
    kernels_of,
    version_of,
)
from stnas.latency.fit import fit, trust
from stnas.latency.timing import least_times
from stnas.learn.evaluation import fresh_statistics
from stnas.space import Genotypes, SearchSpace
from stnas.space.latency import measured_as
from stnas.store.complete import read_result
from stnas.store.console import say
from stnas.store.files import write_json
from stnas.store.machine import processor
from stnas.store.names import LATENCY, RESULT
from stnas.store.own_files import check_own
from stnas.store.places import check_own_folders
from stnas.supernet import Network
from stnas.supernet.blocks import build
from stnas.supernet.layers import channels_last_
from stnas.supernet.norms import norm

SPREAD = (0.3, 0.5, 0.7, 0.9)
"""Probabilities of leaving out that networks are drawn with: small and large ones."""
POOL = 1024
"""Networks that are drawn with each, from which those of all sizes are taken."""
SEED = 0
IMAGES = 8
"""Random images that give BN layers their statistics."""


def run(config: Config, options: LatencyOptions, *, command: str) -> None:
    """Write a table of latencies, with the device, and how far it can be trusted."""
    check_installed(options.backend)
    place = config.folder / "train" / RESULT
    if not place.exists():
        raise FileNotFoundError(
            f"{options.network} must be a run whose hyper-network is trained, got none: run "
            f"`stnas train --run {options.network}` first"
        )
    device = device_for(options.backend, config.device)
    trained, threads = read_result(config.folder, "train", files=False), torch.get_num_threads()
    space = SearchSpace.from_json(trained["space"])
    file = file_of(config, options, threads, device)
    if options.output is None:
        check_own_folders(config.folder, [LATENCY])
    check_own(file.parent, [file.name], record=file.name)
    drawn = networks(space, options.networks)
    parts = part_calls(space, options, threads, device)
    calls = [*parts.values(), *(network_call(space, r, options, threads, device) for r in drawn)]
    on_host = device == HOST
    times = least_times(calls, rounds=options.rounds, threads=threads, on_host=on_host)
    known = dict(zip(parts, times, strict=False))
    measured = np.array(times[len(parts) :])
    table = fit(space, drawn[::2], measured[::2], known)
    predicted = table.cost(space)(drawn).astype(np.float64)
    found = trust(predicted[1::2], measured[1::2])
    by_madds = trust(scaled(space.madds(drawn), measured)[1::2], measured[1::2])
    say(f"latency: {len(parts)} parts of {min(times):,.0f} to {max(known.values()):,.0f} ns")
    say(f"latency: {found}; by multiply-adds: {by_madds}")
    write_json(
        file,
        {
            "backend": options.backend,
            "program": version_of(options.backend),
            "device": processor() if on_host else kind_of(device),
            "threads": threads,
            "batch": options.batch,
            "command": command,
            "table": table.to_json(),
            "trust": asdict(found),
            "trust_by_madds": asdict(by_madds),
            "networks": [
                {"genotype": space.format(row), "measured": m, "predicted": p, "fitted": i % 2 == 0}
                for i, (row, m, p) in enumerate(zip(drawn, measured, predicted, strict=True))
            ],
        },
    )
    say(
        f"latency: {file}; search with it: --search.latency {file} --search.cost latency, limits "
        f"between {np.quantile(measured, 0.1):,.0f} and {np.quantile(measured, 0.9):,.0f} ns"
    )


def file_of(config: Config, options: LatencyOptions, threads: int, device: torch.device) -> Path:
    """Return the file of the table."""
    if options.output is not None:
        return Path(options.output).expanduser()
    place = f"threads-{threads}" if device == HOST else device.type
    name = f"{options.backend}-batch-{options.batch}-{place}.json"
    return config.folder / LATENCY / name


def networks(space: SearchSpace, count: int) -> Genotypes:
    """Draw networks of all sizes, none twice, in an order that tells nothing of them.

    Their multiply-adds lie evenly, by their logarithms, from the least that was drawn to the most:
    a search finds small networks, which a draw seldom gives.
    """
    rows = np.concatenate([space.sample(POOL, p_drop=p, seed=SEED) for p in SPREAD])
    _, first = np.unique(space.canonical(rows), return_index=True)
    mix = np.random.default_rng(SEED).permutation
    rows = rows[mix(first)]
    sizes = np.log(np.maximum(1, space.madds(rows)))
    kept: list[int] = []
    for size in np.linspace(sizes.min(), sizes.max(), min(count, len(rows))):
        distances = np.abs(sizes - size)
        distances[kept] = np.inf
        kept.append(int(distances.argmin()))
    return space.check(rows[mix(kept)])


def scaled(madds: NDArray[np.int64], measured: NDArray[np.float64]) -> NDArray[np.float64]:
    """Predict latencies by multiply-adds and a constant alone, fitted to the even networks."""
    rows = np.stack([np.ones(len(madds)), madds.astype(np.float64)], axis=1)
    relative = rows[::2] / measured[::2, None]
    found, *_ = np.linalg.lstsq(relative, np.ones(len(relative)), rcond=None)
    predicted: NDArray[np.float64] = rows @ found
    return predicted


def part_calls(
    space: SearchSpace, options: LatencyOptions, threads: int, device: torch.device
) -> dict[str, Call]:
    """Make a call of every part and form of it, by what it is looked up by."""
    calls: dict[str, Call] = {}
    make = partial(norm, affine=True, tracked=True)
    for arc in space.arcs:
        if arc.part is None or measured_as(arc) in calls:
            continue
        part, side = space.parts[arc.part], space.nodes[arc.source].resolution
        block = build(part, kernels=kernels_of(options.backend), norm=make)
        channels_last_(block)
        x = torch.randn(options.batch, part.in_channels, side, side)
        module = block if not arc.option else Form(block, arc.option)
        settle_(module, x)
        calls[measured_as(arc)] = call_of(options.backend, module.to(device), x.to(device), threads)
    return calls


@torch.no_grad()
def settle_(module: torch.nn.Module, x: torch.Tensor) -> None:
    """Give fresh BN layers the statistics of some images, and leave evaluation mode behind.

    Without them values fade from layer to layer, and numbers next to 0 take ten times as long.
    """
    with fresh_statistics(module):
        module(torch.randn(IMAGES, *x.shape[1:]))


class Form(torch.nn.Module):
    """One form of a block that has several."""

    def __init__(self, block: torch.nn.Module, option: int) -> None:
        super().__init__()
        self.block, self.option = block, option

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the form."""
        value: torch.Tensor = self.block(x, self.option)
        return value


def network_call(
    space: SearchSpace,
    genotype: NDArray[np.int8],
    options: LatencyOptions,
    threads: int,
    device: torch.device = HOST,
) -> Call:
    """Make a call of a whole network."""
    head = space.head
    network = Network.build(space, genotype, kernels=kernels_of(options.backend))
    x = torch.randn(options.batch, head.in_channels, head.image_size, head.image_size)
    settle_(network, x)
    return call_of(options.backend, network.to(device), x.to(device), threads)
