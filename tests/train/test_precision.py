"""Training with the values between the layers in bfloat16."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stnas import retrain, search, sgld, train
from stnas.config import Config, RetrainConfig, TrainConfig
from stnas.learn.gradients import Parts, mean_gradients_
from stnas.learn.task import build_supernet, prepare
from stnas.store.files import read_rows
from stnas.store.tensors import read_tensors
from stnas.supernet import SuperNet


def halved(config: Config) -> Config:
    """Let every stage that trains do so in bfloat16."""
    return replace(
        config,
        train=replace(config.train, precision="bfloat16"),
        retrain=replace(config.retrain, precision="bfloat16"),
    )


def gradients(config: Config, precision: str) -> tuple[Tensor, list[torch.dtype]]:
    """Return the gradient of a step in one vector, and the dtypes of what enters the tail."""
    task = prepare(config)
    supernet: SuperNet = build_supernet(config, task.space).train()
    seen: list[torch.dtype] = []
    supernet.tail.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].dtype))
    split, genotype = task.dataset.train, task.sampler.genotype(3)
    parameters = list(supernet.parameters())
    torch.manual_seed(0)  # dropout
    mean_gradients_(
        parameters,
        lambda _, own: supernet(own, genotype),
        split.images[:32].float() / 255,
        split.labels[:32],
        parts=Parts(),
        precision=precision,  # type: ignore[arg-type]
    )
    found = [p.grad for p in parameters if p.grad is not None]
    assert all(gradient.dtype == torch.float32 for gradient in found)
    return torch.cat([gradient.flatten() for gradient in found]), seen


def test_the_blocks_get_bfloat16_and_the_gradient_is_as_good_as_torchs(tiny_config: Config) -> None:
    errors = {}
    for kernels in ("fused", "reference"):
        config = replace(tiny_config, kernels=kernels)
        (wide, plain), (narrow, half) = (gradients(config, p) for p in ("float32", "bfloat16"))
        assert (plain, half) == ([torch.float32], [torch.bfloat16])
        errors[kernels] = float((narrow - wide).norm() / wide.norm())
    assert 0 < errors["fused"] < 1.2 * errors["reference"] < 0.3


def test_every_stage_runs_in_it(tiny_config: Config, tmp_path: Path) -> None:
    train.run(tiny_config)
    config = halved(replace(tiny_config, run=str(tmp_path / "half")))
    for stage in (train, sgld, search, retrain):
        stage.run(config)
    rows = read_rows(tmp_path / "half" / "metrics.jsonl", origin=None)
    losses = [row["loss"] for row in rows if row["stage"] == "train"]
    assert losses[-1] < losses[0]
    file = Path("train/weights.safetensors")
    wide, half = (read_tensors(tmp_path / run / file)[0] for run in ("run", "half"))
    assert all(value.dtype == torch.float32 for value in half.values())
    assert any(not torch.equal(value, wide[name]) for name, value in half.items())
    result = json.loads((tmp_path / "half" / "retrain" / "result.json").read_text())
    assert all(network["test_accuracy"] > 0.2 for network in result["networks"])


@pytest.mark.parametrize("section", [TrainConfig, RetrainConfig])
def test_another_precision_is_refused(section: type[TrainConfig] | type[RetrainConfig]) -> None:
    rule = r"train.precision must be one of float32, bfloat16, got 'half': correct the word"
    with pytest.raises(ValueError, match=rule):
        section(precision="half")  # type: ignore[arg-type]
