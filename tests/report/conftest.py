"""A run folder as the stages leave it, made of made-up numbers."""

import math

import numpy as np
import pytest

from stnas.engine.files import write_json, write_rows
from stnas.engine.settings import write_settings
from stnas.space import SearchSpace

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
        "genotype": row["genotype"],
        "madds": row["madds"],
        "params": row["params"],
        "validation_accuracy": row["accuracy"],
        "test_accuracy_before": row["accuracy"] - 0.02,
        "test_accuracy": history[-1]["accuracy"],
        "seconds": 3.0,
        "history": history,
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


def build(folder, *, profile="nano", stages=STAGES, classes=("shoe", "bag"), data="fashion"):
    space = SearchSpace.profile(profile, num_classes=len(classes))
    settings = {"run": folder.name, "seed": 3, "train": {"madds": 2000000}}
    write_settings(folder / "config.yaml", settings)
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
                "space": space.spec.to_json(),
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
    return folder


@pytest.fixture
def make_run(tmp_path):
    return lambda name="run", **options: build(tmp_path / name, **options)
