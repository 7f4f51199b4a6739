"""The stage `rank`: a whole ranking of a tiny run, and its going on."""

from dataclasses import replace
from pathlib import Path

import pytest

from stnas import rank, train
from stnas.config import RankConfig
from stnas.engine.files import read_json


@pytest.fixture
def trained(tiny_config):
    options = replace(tiny_config.train, checkpoints=3, ema=(0.9,))
    ranking = RankConfig(
        architectures=6,
        repeated=3,
        truth_epochs=1,
        ways=(
            "single", "tail", "ema-0.9", "none", "posterior", "relative-0.02@0.1", "finetune-3",
            "finetune-epoch",
        ),
        shared_statistics_steps=20,
        resamples=200,
    )  # fmt: skip
    config = replace(tiny_config, train=options, rank=ranking)
    train.run(config)
    return config


def test_every_way_is_held_against_the_ground_truth(trained, capsys):
    rank.run(trained)
    result = read_json(Path(trained.run) / "rank/result.json")
    assert [len(row["truth"]) for row in result["architectures"]] == [1, 2, 1, 2, 1, 2]
    print(result)
