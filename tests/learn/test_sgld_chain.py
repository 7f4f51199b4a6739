"""Every sample of a chain follows an epoch of its own: other images, other paths, other noise."""

from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torch import Tensor

from stnas import sgld, train
from stnas.config import Config
from stnas.learn.sgld_chain import draw_
from stnas.learn.task import build_supernet, prepare
from stnas.store.checkpoint import Saver
from stnas.store.names import sample_files
from stnas.store.tensors import read_tensors, write_tensors

STEPS = 432 // 16
"""Steps of an epoch of the tiny run."""


def watched_epochs(config: Config) -> list[list[Tensor]]:
    """Draw a chain; return the batches that went into the hyper-network, by epoch."""
    task, seen = prepare(config), list[Tensor]()
    supernet = build_supernet(config, task.space)
    supernet.stem.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    folder = Path(config.run) / "chain"
    files = sample_files(folder, 4)
    write_tensors(files[0], supernet.state_dict(), origin="")
    with Saver(
        folder / "state.safetensors", every=1e9, origin="", tensors=supernet.state_dict
    ) as saver:
        draw_(supernet, task, files, config=config, journal=Mock(), saver=saver)
    return [seen[start : start + STEPS] for start in range(0, len(seen), STEPS)]


def rows(batches: list[Tensor]) -> list[bytes]:
    """Return the images of batches one by one, in order."""
    return [image.numpy().tobytes() for batch in batches for image in batch]


def test_every_sample_sees_the_images_once_in_an_order_of_its_own(tiny_config: Config) -> None:
    epochs = [rows(batches) for batches in watched_epochs(tiny_config)]
    assert [len(epoch) for epoch in epochs] == [432] * 3
    for first, second in combinations(epochs, 2):
        assert sorted(first) == sorted(second)
        assert first != second
        together = sum(a == b for a, b in zip(first, second, strict=True))
        assert together < 20, "an image is in its old place once in an epoch on average"


def moves(config: Config) -> np.ndarray:
    """Train, draw four samples, and return how the weights of the stem went from each to the next.

    float64 ``[3, n]``.
    """
    train.run(config)
    sgld.run(config)
    files = sample_files(Path(config.run) / "sgld", 4)
    stems = [
        torch.cat([value.flatten() for name, value in sorted(tensors.items()) if "stem" in name])
        for tensors in (read_tensors(file)[0] for file in files)
    ]
    return np.diff(torch.stack(stems).double().numpy(), axis=0)


@pytest.mark.parametrize("mode", ["posterior", "relative", "literal"])
def test_the_noise_of_two_samples_has_nothing_in_common(tiny_config: Config, mode: str) -> None:
    """Noise alone moves the weights here: its increments are independent from epoch to epoch."""
    options = {"mode": mode, "samples": 4, "weight_decay": 0.0, "learning_rate": 1e-9}
    noise = replace(tiny_config.sgld, **options, temperature=1e9, rho=10.0)
    config = replace(tiny_config, sgld=noise, train=replace(tiny_config.train, epochs=1))
    found = moves(config)
    assert found.shape[1] > 50
    assert (found.std(axis=1) > 0).all()
    common = np.abs(np.corrcoef(found)[np.triu_indices(3, 1)])
    assert common.max() < 5 / np.sqrt(found.shape[1])


def test_the_steps_of_a_sample_take_paths_that_training_and_other_samples_did_not(
    tiny_config: Config,
) -> None:
    """Without noise an epoch moves the tensors of the paths that its steps draw, and no others."""
    options = replace(tiny_config.sgld, mode="none", samples=3, weight_decay=0.0)
    config = replace(
        tiny_config, sgld=options, train=replace(tiny_config.train, epochs=1, batch_size=216)
    )
    train.run(config)
    sgld.run(config)
    task = prepare(config)
    supernet = build_supernet(config, task.space)
    names = [name for name, _ in supernet.named_parameters()]
    samples = [read_tensors(file)[0] for file in sample_files(Path(config.run) / "sgld", 3)]
    used = []
    for k, (before, after) in enumerate(pairwise(samples), start=1):
        paths = [supernet.active_parameters(task.sampler.genotype(2 * k + i)) for i in (0, 1)]
        used.append({block(names[i]) for path in paths for i in path})
        assert used[-1] == {
            block(name) for name in names if not torch.equal(before[name], after[name])
        }
    assert used[0] != used[1]


def block(parameter: str) -> str:
    """Return the choice block that a parameter belongs to, or its other part."""
    words = parameter.split(".")
    return ".".join(words[:3] if words[0] == "blocks" else words[:1])
