"""What a strategy of training brings along: the recipe of its authors, below all that is given."""

from collections.abc import Mapping

MIXED: dict[str, object] = {
    "train.epochs": 50,
    "train.batch_size": 64,
    "train.learning_rate": 0.025,
    "train.final_learning_rate": 0.001,
    "train.momentum": 0.9,
    "train.weight_decay": 3e-4,
    "train.checkpoints": 0,
    "search.strategy": "derived",
    "search.score": "single",
    "verdict.candidates": 0,
}
"""Liu et al. 2019, the authors' code; the search takes the cell that training derives."""
OWN: dict[str, dict[str, object]] = {
    "darts1": {},
    "darts2": {},
    "gdas": {"train.epochs": 250},
    "betadarts": {"train.epochs": 100},
    "pcdarts": {
        "train.batch_size": 256,
        "train.learning_rate": 0.1,
        "train.final_learning_rate": 0.0,
        "alpha.learning_rate": 6e-4,
        "alpha.start": 0.3,
    },
}
"""Those of each strategy's authors (Xu et al. 2020 for pcdarts)."""
BENCH: dict[str, object] = {
    "train.weight_decay": 5e-4,
    "alpha.nesterov": True,
    "retrain.epochs": 200,
    "retrain.batch_size": 256,
    "retrain.learning_rate": 0.1,
    "retrain.warmup_epochs": 0.0,
    "retrain.weight_decay": 5e-4,
}
"""Dong & Yang 2020, in the family nb201."""


def implied(values: Mapping[str, object]) -> dict[str, object]:
    """Return the values by name that go with ``train.strategy`` and ``space.family``."""
    own = OWN.get(str(values.get("train.strategy")))
    if own is None:
        return {}
    bench = BENCH if values.get("space.family") == "nb201" else {}
    return {**MIXED, **bench, **own}
