"""Samples of the shared weights: their mean, and what noise of each size does to the accuracy."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stnas import sgld, train
from stnas.config import SgldConfig
from stnas.data.epochs import evaluation_batches
from stnas.learn.scoring import Scorer, recalibration_images
from stnas.learn.task import build_supernet, prepare
from stnas.sgld.drift import drift_report, expected_drift
from stnas.store.run_folder import StageCompleteError
from stnas.store.tensors import load_weights_, read_tensors


@pytest.fixture
def trained(tiny_config):
    """Train long enough to be far above chance."""
    config = replace(tiny_config, train=replace(tiny_config.train, epochs=8))
    train.run(config)
    return config


def accuracy(config, file):
    """Return the mean accuracy of six architectures with the weights of a file."""
    task = prepare(config)
    supernet = build_supernet(config, task.space)
    load_weights_(supernet, Path(config.run) / file)
    images = recalibration_images(config, task)
    held_out = evaluation_batches(task.dataset, task.dataset.validation, size=64)
    genotypes = task.space.sample(6, p_drop=0.3, seed=1)
    scores = Scorer([supernet], images, held_out)(genotypes)
    return sum(score.accuracy for score in scores) / len(scores)


def test_the_first_sample_is_the_trained_weights_and_the_mean_is_theirs(trained):
    sgld.run(trained)
    run = Path(trained.run)
    samples = [read_tensors(run / f"sgld/sample-{k:03d}.safetensors")[0] for k in range(3)]
    weights = read_tensors(run / "train/weights.safetensors")[0]
    mean = read_tensors(run / "sgld/mean.safetensors")[0]
    for name, value in mean.items():
        assert torch.equal(samples[0][name], weights[name])
        expected = torch.stack([sample[name].double() for sample in samples]).mean(0)
        torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-7)
        assert value.dtype == torch.float32
    assert any(not torch.equal(samples[1][name], samples[2][name]) for name in mean)


def test_a_complete_chain_is_not_drawn_again(tiny_config):
    train.run(tiny_config)
    sgld.run(tiny_config)
    with pytest.raises(StageCompleteError, match="sgld is complete; delete that folder"):
        sgld.run(tiny_config)


def test_literal_noise_destroys_the_network_and_posterior_noise_does_not(trained, capsys):
    before = accuracy(trained, "train/weights.safetensors")
    assert before > 0.8
    after = {}
    for mode in ("posterior", "literal"):
        config = replace(trained, sgld=SgldConfig(mode=mode, samples=8, learning_rate=0.05))
        sgld.run(config)
        after[mode] = accuracy(config, "sgld/sample-007.safetensors")
        (Path(config.run) / "sgld").rename(Path(config.run) / mode)
    assert after["posterior"] > before - 0.1
    assert after["literal"] < 0.4, "chance is 0.25"
    assert "WARNING: noise of that size destroys" in capsys.readouterr().out


def test_the_drift_of_the_printed_noise_is_the_papers():
    """At a = 2.5e-4 and 2,500 steps an epoch the literal noise moves a weight by 1.1."""
    config = SgldConfig(mode="literal")
    drift = expected_drift(config, torch.ones(3), num_data=1_281_167, steps_per_epoch=2500)
    assert drift == pytest.approx(1.118, abs=1e-3)
    posterior = expected_drift(
        SgldConfig(), torch.ones(3), num_data=1_281_167, steps_per_epoch=2500
    )
    assert posterior == pytest.approx(1.118 / 1_281_167**0.5, rel=1e-3)
    relative = SgldConfig(mode="relative", rho=0.02)
    value = torch.full((3,), 0.5)
    assert expected_drift(relative, value, num_data=10, steps_per_epoch=7) == pytest.approx(0.01)


def test_only_destructive_noise_warns():
    options = {"num_data": 1000, "steps_per_epoch": 100}
    weights = [torch.full((10, 10), 0.1)]
    assert "WARNING" in drift_report(SgldConfig(mode="literal"), weights, **options)
    for mode in ("posterior", "relative", "none"):
        assert "WARNING" not in drift_report(SgldConfig(mode=mode), weights, **options)


def test_one_sample_is_the_trained_network(trained):
    sgld.run(replace(trained, sgld=SgldConfig(samples=1)))
    run = Path(trained.run)
    mean = read_tensors(run / "sgld/mean.safetensors")[0]
    weights = read_tensors(run / "train/weights.safetensors")[0]
    assert all(torch.equal(mean[name], value) for name, value in weights.items())
