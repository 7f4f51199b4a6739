"""A run folder as the stages leave it, made of made-up numbers."""

import math

import numpy as np
import pytest

from stnas.space import SearchSpace
from stnas.store.files import write_json, write_rows, write_whole
from stnas.store.settings import sealed_settings

STAGES = ("train", "sgld", "search", "retrain")


def candidates(space, n=60):
    rows = []
    genotypes = space.sample(n, p_drop=0.6, seed=1)
    noise = np.random.default_rng(0).normal(0, 0.01, n)
    for i, genotype in enumerate(genotypes):
        madds = int(space.madds(genotype[None])[0])
        accuracy = 0.9 - 0.3 * math.exp(-madds / space.expected_madds(0.6)) + float(noise[i])
        rows.append(
            {
                "genotype": space.format(genotype),
                "madds": madds,
                "params": int(space.params(genotype[None])[0]),
                "accuracy": accuracy,
                "loss": 2 - 2 * accuracy,
                "generation": i // 10,
            }
        )
    return rows


def non_dominated(rows):
    return [
        r
        for r in rows
        if not any(o["madds"] <= r["madds"] and o["accuracy"] > r["accuracy"] for o in rows)
    ]


def network(row, name, role, gain):
    history = [
        {"epoch": e, "loss": 2 / (e + 1), "accuracy": 0.9 + gain - 0.3 / (e + 1)} for e in range(6)
    ]
    return {
        "name": name,
        "role": role,
        "origin": "0" * 16,
        "genotype": row["genotype"],
        "madds": row["madds"],
        "params": row["params"],
        "validation_accuracy": row["accuracy"],
        "test_accuracy_before": row["accuracy"] - 0.02,
        "test_accuracy": history[-1]["accuracy"],
        "seconds": 3.0,
        "history": history,
        "space": {},
        "classes": ["cat", "dog"],
        "mean": [0.5],
        "std": [0.25],
    }


def metrics(stages):
    rows = []
    if "train" in stages:
        rows += [
            {
                "stage": "train",
                "epoch": e,
                "step": 10 * e,
                "loss": 2.3 / (1 + e / 3),
                "accuracy": 0.8 - 0.7 / (1 + e),
                "learning_rate": 0.1,
                "time": 0.0,
            }
            for e in range(12)
        ]
    if "sgld" in stages:
        rows += [
            {"stage": "sgld", "epoch": e, "loss": 0.5, "accuracy": 0.76, "time": 0.0}
            for e in range(4)
        ]
    if "search" in stages:
        rows += [
            {
                "stage": "search",
                "generation": g,
                "hypervolume": 0.6 + 0.05 * math.log1p(g),
                "best_accuracy": 0.8,
                "front": 5,
                "time": 0.0,
            }
            for g in range(6)
        ]
    return rows


def estimate(way, form, tau, *, statistics="own", measure="accuracy"):
    return {
        "way": way,
        "form": form,
        "statistics": statistics,
        "measure": measure,
        "n": 12,
        "tau": tau,
        "tau_low": tau - 0.3,
        "tau_high": tau + 0.25,
        "spearman": tau + 0.1,
        "top_precision": 1.0,
        "band_tau": None,
        "regret": 0.0125,
        "gain_low": tau - 0.5,
        "gain_high": tau - 0.45,
    }


def estimates():
    reference = {**estimate("none", "parameters", 0.5), "gain_low": 0.0, "gain_high": 0.0}
    constant = {"tau": None, "tau_low": None, "tau_high": None, "spearman": None}
    ceiling = {"way": "truth, seed to seed", "form": "ceiling", "n": 4}
    return [
        estimate("madds", "baseline", 0.25, statistics="", measure=""),
        estimate("params", "baseline", 0.125, statistics="", measure=""),
        estimate("single", "checkpoint", 0.375),
        estimate("single", "checkpoint", 0.0625, statistics="running"),
        reference,
        estimate("none", "scores", 0.4375),
        estimate("posterior", "parameters", 0.64),
        {**estimate("posterior", "bound", 0.5), **constant},
        estimate("finetune-3", "network", 0.3125),
        estimate("single", "checkpoint", 0.34375, measure="loss"),
        {**ceiling, "tau": 0.75, "tau_low": 0.5, "tau_high": 1.0},
    ]


def score_rows(n=12, epochs=3):
    def row(way, weights, shift, *, statistics="own", rows=range(n)):
        values = [0.5 + 0.01 * ((7 * i + shift) % n) for i in rows]
        return {
            "way": way,
            "weights": weights,
            "statistics": statistics,
            "rows": list(rows),
            "accuracy": values,
            "loss": [2 - value for value in values],
        }

    labels = [*(f"epoch-{9 + e:04d}" for e in range(epochs - 1)), "trained"]
    return [
        *(row("single", label, 5 * e) for e, label in enumerate(labels)),
        row("single", "trained", 1, statistics="running"),
        *(row("posterior", f"sample-{i:03d}", i) for i in range(1, 3)),
        row("none", "mean", 2),
        row("posterior", "mean", 3),
        *(row("finetune-3", "mean", 4, rows=[i]) for i in range(n)),
    ]


def write_ranking(folder, rows):
    """Write what a ranking of some candidates leaves; every third has a second training."""
    compared = sorted(rows[:12], key=lambda row: row["madds"])
    truth = [[0.8 + 0.01 * ((5 * i) % 12)] for i in range(12)]
    for values in truth[::3]:
        values.append(values[0] + 0.005)
    chances = [[0.5 + (i - j) / 24 for j in range(12)] for i in range(12)]
    bins = [
        {"from": 0.5, "to": 0.75, "pairs": 40, "stated": 0.625, "right": 0.5},
        {"from": 0.75, "to": 0.9, "pairs": 0, "stated": None, "right": None},
        {"from": 0.9, "to": 1.0, "pairs": 10, "stated": 0.95, "right": 0.75},
    ]
    calibration = {"bins": bins, "brier": 0.25, "better": chances}
    architectures = [
        {**{key: row[key] for key in ("genotype", "madds", "params")}, "truth": values}
        for row, values in zip(compared, truth, strict=True)
    ]
    write_rows(folder / "scores.jsonl", score_rows())
    result = {"seconds": 60.0, "architectures": architectures, "table": estimates()}
    posterior = {"none": {**calibration, "brier": None}, "posterior": calibration}
    write_json(folder / "result.json", {**result, "posterior": posterior})


def build(folder, *, profile="nano", stages=STAGES, classes=("shoe", "bag"), data="fashion"):
    space = SearchSpace.profile(profile, num_classes=len(classes))
    settings = {"run": folder.name, "seed": 3, "train": {"madds": 2000000}}
    write_whole(folder / "config.yaml", sealed_settings(settings))
    write_rows(folder / "metrics.jsonl", metrics(stages))
    rows = candidates(space)
    front = non_dominated(rows)
    choices = [
        {"name": name, "limit": row["madds"] + 5.0, **row}
        for name, row in zip("AB", (front[0], max(front, key=lambda r: r["madds"])), strict=True)
    ]
    if "train" in stages:
        write_json(
            folder / "train/result.json",
            {
                "seconds": 4.0,
                "epochs": 12,
                "space": dict(space.recipe),
                "p_drop": 0.6,
                "expected_madds": space.expected_madds(0.6),
                "data": {
                    "name": data,
                    "fingerprint": "0" * 16,
                    "classes": list(classes),
                    "mean": [0.3],
                    "std": [0.3],
                    "train": 10800,
                    "validation": 1200,
                    "test": 3000,
                },
            },
        )
    if "sgld" in stages:
        write_json(folder / "sgld/result.json", {"seconds": 1.5, "samples": 5})
    if "search" in stages:
        write_rows(folder / "search/archive.jsonl", rows)
        write_json(folder / "search/front.json", {"front": front})
        result = {"seconds": 9.0, "evaluated": len(rows), "choices": choices}
        write_json(folder / "search/result.json", result)
    if "retrain" in stages:
        networks = []
        for i, row in enumerate(choices):
            twin = rows[40 + i]
            networks += [
                network(row, row["name"], "chosen", 0.02 * i),
                network(twin, f"{row['name']}-random-1", "random", -0.01),
            ]
        write_json(folder / "retrain/result.json", {"seconds": 12.0, "networks": networks})
    if "rank" in stages:
        write_ranking(folder / "rank", rows)
    return folder


@pytest.fixture
def make_run(tmp_path):
    return lambda name="run", **options: build(tmp_path / name, **options)


@pytest.fixture(scope="session")
def build_run():
    return build
