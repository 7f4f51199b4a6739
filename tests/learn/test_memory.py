"""Where a GPU's memory ends, in whatever stage, the error names what to set lower."""

import shutil
from dataclasses import replace

import pytest
import torch

from stnas import evaluate, rank, retrain, search, sgld, train, verdict
from stnas.config import RankConfig, RetrainConfig, SpaceConfig, TrainConfig, VerdictConfig
from stnas.config.evaluate import EvaluateOptions
from stnas.learn.memory import smaller_parts

STAGES = {
    "train": train, "sgld": sgld, "search": search, "verdict": verdict, "rank": rank,
    "retrain": retrain,
}  # fmt: skip
TRAINING = "--train.micro_batches 2 or --train.precision bfloat16 or --train.batch_size 8"
RETRAINING = "--retrain.micro_batches 2 or --retrain.precision bfloat16 or --retrain.batch_size 8"
SCORING = "--search.evaluation_batch 128 or --search.recalibration_batch"


def full(*_, **__):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has")


@pytest.fixture
def copied(trained_run, tiny_settings, tmp_path):
    """Copy the small run as far as a stage; return its configuration."""

    def copy(stage):
        folder = tmp_path / "run"
        shutil.copytree(trained_run, folder)
        for name in list(STAGES)[list(STAGES).index(stage) :]:
            shutil.rmtree(folder / name, ignore_errors=True)
        return replace(
            tiny_settings,
            run=str(folder),
            verdict=VerdictConfig(candidates=2, epochs=1, rounds=1) if stage == "verdict"
            else tiny_settings.verdict,
            rank=RankConfig(architectures=4, truth_epochs=1, truth_seeds=1, resamples=100,
                            ways=("posterior", "finetune-1")),
        )  # fmt: skip

    return copy


CASES = [
    ("train", "stnas.learn.single_path.mean_gradients_", TRAINING),
    ("train", "stnas.data.dataset.Dataset.on", "--data.train_limit or --data.image_size lower"),
    ("sgld", "stnas.learn.single_path.mean_gradients_", TRAINING),
    ("search", "stnas.learn.scoring.calibrated_trie", SCORING),
    ("verdict", "stnas.learn.network_step.mean_gradients_", RETRAINING),
    ("verdict", "stnas.learn.network_fit.evaluate_together", "--retrain.evaluation_batch 128"),
    ("rank", "stnas.rank.scoring.observe_", SCORING),
    ("rank", "stnas.rank.finetuning.mean_gradients_", "leave the ways finetune-N out"),
    ("rank", "stnas.rank.scoring.recalibrate_", SCORING),
    ("retrain", "stnas.retrain.stage.scorer", SCORING),
    ("retrain", "stnas.learn.scoring.calibrated_trie", SCORING),
    ("retrain", "stnas.learn.network_step.mean_gradients_", RETRAINING),
    ("retrain", "stnas.learn.network_fit.evaluate_together", "--retrain.evaluation_batch 128"),
    ("retrain", "stnas.retrain.stage.evaluate_together", "--retrain.evaluation_batch 128"),
]


@pytest.mark.parametrize(("stage", "where", "told"), CASES, ids=str)
def test_every_stage_says_what_to_set_lower(copied, monkeypatch, stage, where, told):
    config = copied(stage)
    monkeypatch.setattr(where, full)
    with pytest.raises(RuntimeError, match=r"too little memory .Tried to allocate 2.00 GiB") as got:
        STAGES[stage].run(config)
    assert told in str(got.value)
    assert not isinstance(got.value, torch.OutOfMemoryError)


def test_a_mixture_has_no_parts_but_may_share_more(copied, monkeypatch):
    config = copied("train")
    config = replace(
        config,
        space=SpaceConfig(family="nb201", channels=2),
        train=TrainConfig(epochs=1, batch_size=16, strategy="darts1"),
    )
    monkeypatch.setattr("stnas.train.gradient.bilevel.Bilevel.loss", full)
    told = r"is 16: set --train.precision bfloat16 or --train.batch_size 8 or --sharing.level merge"
    with pytest.raises(RuntimeError, match=told):
        train.run(config)


def test_an_evaluation_goes_to_the_processor(trained_run, tiny_settings, monkeypatch):
    config = replace(tiny_settings, run=str(trained_run))
    monkeypatch.setattr("stnas.evaluate.command.answers", full)
    with pytest.raises(RuntimeError, match=r"too little memory .* set --device cpu"):
        evaluate.run(config, EvaluateOptions(network=str(trained_run)), command="")


def test_parts_that_cannot_be_cut_further_are_not_named():
    told = smaller_parts("retrain", RetrainConfig(batch_size=6, micro_batches=3), "the state")
    assert "--retrain.micro_batches" not in told
    assert "the state" in told
