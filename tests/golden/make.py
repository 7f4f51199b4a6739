"""Print what a small pipeline gives, as JSON: numbers and texts that no rearrangement may move.

    python tests/golden/make.py > tests/golden/golden.json

The operators' plainest kernels compute (STNAS_ISA=generic) on one thread. What torch computes
beside them differs in the last bits between processors, so weights and losses stand here as
numbers, to be compared with a tolerance. ``--digests`` adds the digests of all tensors, which are
alike for two trees on one machine.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ |= {"STNAS_ISA": "generic", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

import numpy as np
import torch
from safetensors.torch import load_file

from stnas.cli import main
from stnas.ops.sgld import standard_normal
from stnas.space import SearchSpace, make_sampler
from stnas.supernet import Network, SuperNet

PROFILES = {
    "imagenet": {},
    "parity": {},
    "small": {"merge": "mean"},
    "micro": {"residual": "all", "stem_stride": 2},
    "nano": {"merge": "shadow", "in_channels": 1, "num_classes": 4},
}
OPTIONS = """
--threads 1 --seed 3 --data.path embedded --data.train_limit 240 --data.test_limit 60
--data.crop_padding 1 --space.profile nano --space.stages [3,2] --space.widths [8,12]
--space.tail_width 16 --space.stem_stride 2 --train.epochs 2 --train.batch_size 16
--train.learning_rate 0.05 --train.checkpoints 2 --train.ema [0.9] --sgld.samples 3
--sgld.learning_rate 0.001 --search.population 6 --search.generations 3
--search.recalibration_images 64 --search.recalibration_batch 32 --search.measure accuracy
--search.aimed 0 --search.random 0 --verdict.candidates 0 --retrain.epochs 2
--retrain.batch_size 16 --retrain.learning_rate 0.02 --retrain.warmup_epochs 0.5
--rank.architectures 4 --rank.truth_epochs 1 --rank.truth_seeds 1 --rank.resamples 100
--rank.shared_statistics_steps 2
"""

DECIDED = """
--search.measure loss --search.aimed 0.5 --search.generations 1 --search.random 3
--search.limits [90000,120000] --verdict.candidates 6 --verdict.reduction 2 --verdict.epochs 2
--retrain.random_twins 0 --retrain.baselines [separable,mobilenet_v2,shufflenet_v2]
"""
"""A search whose only generation depends on no score, a verdict on all of it."""


def digest(*parts: bytes) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of the parts."""
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def names(module: torch.nn.Module) -> dict[str, Any]:
    """Tell the order, the names and the shapes of a module's parameters."""
    rows = [f"{name} {list(p.shape)}" for name, p in module.named_parameters()]
    return {
        "first": rows[:3],
        "last": rows[-1],
        "count": len(rows),
        "all": digest(repr(rows).encode()),
    }


def texts(name: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Tell what a search space says of five of its genotypes."""
    space = SearchSpace.profile(name, **changes)
    genotypes = space.sample(5, p_drop=0.6, seed=0)
    kinds = ("p_drop", "uniform", "fair", "bins")
    samplers = {kind: make_sampler(space, kind, p_drop=0.5, seed=7) for kind in kinds}
    spread = space.madds_distribution(0.6, max_points=2**16)
    return {
        "fingerprint": space.fingerprint,
        "topologies": space.num_topologies,
        "architectures": str(space.num_architectures),
        "genotypes": [space.format(row) for row in genotypes],
        "canonical": space.canonical(genotypes).tolist(),
        "madds": space.madds(genotypes).tolist(),
        "params": space.params(genotypes).tolist(),
        "expected": space.expected_madds(0.6),
        "variance": space.variance_madds(0.6),
        "p_drop": space.solve_p_drop(space.expected_madds(0.37)),
        "quantiles": [spread.quantile(q) for q in (0.0, 0.25, 0.5, 0.99)],
        "steps": {
            kind: ["".join(map(chr, own.genotype(step) + 48)) for step in (0, 1, 2, 1000)]
            for kind, own in samplers.items()
        },
        "layers": digest(json.dumps(space.madds_by_layer(genotypes[0])).encode()),
        "described": digest(repr(space.describe(genotypes[1])).encode()),
    }


def modules() -> dict[str, Any]:
    """Tell what the parts of a hyper-network and of a network are called."""
    space = SearchSpace.profile("nano", merge="shadow", in_channels=1, num_classes=4)
    genotype = space.sample(1, p_drop=0.3, seed=1)[0]
    supernet = SuperNet(space, affine=True)
    return {
        "supernet": names(supernet),
        "network": names(Network.build(space, genotype)),
        "extracted": names(supernet.extract(genotype)),
        "active": supernet.active_parameters(genotype),
    }


def statistics(file: Path) -> dict[str, list[float]]:
    """Return mean and root mean square of every tensor of a file that holds numbers."""
    found = {}
    for name, value in sorted(load_file(file).items()):
        if value.is_floating_point() and value.numel():
            number = value.double()
            pair = (number.mean(), number.square().mean().sqrt())
            found[name] = [float(f"{float(value):.7g}") for value in pair]
    return found


def keys(value: Any) -> Any:
    """Return the keys of a JSON value, those of a list's first entry for all of it."""
    if isinstance(value, dict):
        return {name: keys(item) for name, item in value.items()}
    if isinstance(value, list):
        return [keys(item) for item in value[:1]]
    return type(value).__name__


def read(file: Path) -> Any:
    """Read a JSON file, or the rows of one."""
    lines = file.read_text()
    return (
        json.loads(lines) if file.suffix == ".json" else [json.loads(x) for x in lines.splitlines()]
    )


def stages(run: Path) -> Iterator[tuple[str, Any]]:
    """Run all stages, and yield what they leave."""
    sys.stdout, real = sys.stderr, sys.stdout
    for stage in ("run", "rank"):
        main([stage, "--run", str(run), *(OPTIONS.split() if stage == "run" else [])])
    sys.stdout = real
    epochs = [row for row in read(run / "metrics.jsonl") if row["stage"] in ("train", "sgld")]
    yield "losses", [row["loss"] for row in epochs]
    for name in (
        "train/weights",
        "train/ema-0.9",
        "sgld/sample-002",
        "sgld/mean",
        "retrain/A/network",
    ):
        yield name, statistics(run / f"{name}.safetensors")
    yield (
        "archive",
        [
            [
                row[name]
                for name in ("genotype", "madds", "params", "generation", "accuracy", "loss")
            ]
            for row in read(run / "search/archive.jsonl")
        ],
    )
    yield "accuracies", [row["accuracy"] for row in read(run / "search/archive.jsonl")]
    yield "front", [row["genotype"] for row in read(run / "search/front.json")["front"]]
    yield (
        "choices",
        [
            [row["name"], row["limit"], row["genotype"]]
            for row in read(run / "search/result.json")["choices"]
        ],
    )
    networks = read(run / "retrain/result.json")["networks"]
    yield "networks", [[row["name"], row["genotype"], row["role"]] for row in networks]
    yield "retrained", [[row["history"][-1]["loss"], row["test_accuracy"]] for row in networks]
    ranked = read(run / "rank/result.json")
    yield "ranked", [row["genotype"] for row in ranked["architectures"]]
    yield "truth", [row["truth"] for row in ranked["architectures"]]
    yield "ways", [[str(word) for word in list(row.values())[:4]] for row in ranked["table"]]
    own = [file for file in sorted(run.rglob("*.json*")) if "truth" not in file.parts]
    yield "keys", {file.relative_to(run).as_posix(): keys(read(file)) for file in own}


def decided(run: Path, trained: Path) -> Iterator[tuple[str, Any]]:
    """Search by loss for windows, decide and retrain beside hand-made networks."""
    run.mkdir()
    shutil.copy(trained / "config.yaml", run)
    for stage in ("train", "sgld"):
        shutil.copytree(trained / stage, run / stage)
    sys.stdout, real = sys.stderr, sys.stdout
    main(["run", "--run", str(run), *DECIDED.split()])
    sys.stdout = real
    rows = read(run / "search/archive.jsonl")
    yield "aimed", [[row["genotype"], row["madds"], row["loss"]] for row in rows]
    yield "drawn", [row["genotype"] for row in read(run / "search/random.jsonl")]
    verdict = read(run / "verdict/result.json")
    first = sorted((row["genotype"], row["loss"]) for row in verdict["judged"] if not row["rung"])
    yield "judged", {"ends": verdict["ends"], "first": [list(pair) for pair in first]}
    networks = read(run / "retrain/result.json")["networks"]
    made = [row for row in networks if row["name"].startswith("A-")]
    yield "hand_made", [[row["name"], row["space"]["widths"]] for row in made]
    yield "keys", {"verdict/result.json": keys(verdict)}


def tensors(run: Path) -> dict[str, str]:
    """Return the digest of every file of tensors."""
    found = {}
    for file in sorted(run.rglob("[!.]*.safetensors")):
        content = sorted(load_file(file).items())
        found[file.relative_to(run).as_posix()] = digest(
            *(name.encode() + value.contiguous().numpy().tobytes() for name, value in content)
        )
    return found


def make(*, digests: bool) -> dict[str, Any]:
    """Return all of it."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    noise = standard_normal(6, seed=5, step=7, tensor=11)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        found = {
            "texts": {name: texts(name, changes) for name, changes in PROFILES.items()},
            "modules": modules(),
            "noise": np.asarray(noise).view(np.uint32).tolist(),
            "run": dict(stages(run)),
            "decided": dict(decided(run.with_name("decided"), run)),
        }
        return {**found, "digests": tensors(run)} if digests else found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--digests", action="store_true", help="add the digests of all tensors")
    json.dump(make(digests=parser.parse_args().digests), sys.stdout, indent=1)
    print()
