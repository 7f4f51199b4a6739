"""Found, random and hand-made backbones at equal multiply-adds under one detector (table 4).

    pip install 'stnas[detection]'
    python benchmarks/boxes.py BOXES --train 300 --test 200
    python benchmarks/detection.py BOXES RUN ... --work FOLDER
    python benchmarks/detection.py --tables

RUN: finished runs of ``stnas quickstart`` with other seeds. Of each the chosen network A, its first
random twin and its MobileNetV2 become backbones, with the weights of their retraining, and a
detector is trained on each alike, 13 epochs (``stnas detect``). Rows go to ``results``; what is
there in FOLDER is not trained again. The tables hold a run's networks against each other: the lead
of the found one, its mean over the runs and a 95 % interval by Student's t.
"""

import argparse
from dataclasses import replace
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from record import known, machine, save

from stnas import detect
from stnas.classifier import load
from stnas.config import Config
from stnas.config.detect import DetectOptions
from stnas.learn.comparison import t_975
from stnas.store.files import read_json
from stnas.store.names import DETECTION

NAME = "detection"
KINDS = {"A": "found", "A-random-1": "random", "A-mobilenet_v2": "MobileNetV2"}
OPTIONS = DetectOptions(
    coco="-",
    size=96,
    max_size=96,
    channels=32,
    head_width=128,
    proposals=100,
    regions=64,
    batch_size=4,
)
"""The defaults but for what 96 pixels a side and a processor ask for."""
MEASURES = ("ap", "ap50", "ap75", "ar100")


def train(boxes: Path, run: Path, name: str, seed: int, work: Path) -> dict[str, Any]:
    """Train the detector of one backbone and return its row."""
    network, target = run / "retrain" / name, work / f"{seed}-{name}"
    options = replace(OPTIONS, network=str(network), coco=str(boxes), output=str(target))
    config = Config(run=str(run), seed=seed, threads=1)
    detect.run(config, options, command=f"stnas detect {name}")
    found, description = read_json(target / DETECTION), load(network).description
    return {
        "run": seed,
        "kind": KINDS[name],
        "genotype": description["genotype"],
        "madds": description["madds"],
        "params": description["params"],
        "test_accuracy": description["test_accuracy"],
        "detector_madds": found["madds"],
        **{measure: found[measure] for measure in MEASURES},
        "seconds": found["seconds"],
    }


def tables(rows: list[dict[str, Any]]) -> str:
    """Write the means of each kind, and how far the found networks lead, as Markdown."""
    by_kind = {
        kind: {row["run"]: row for row in rows if row["kind"] == kind} for kind in KINDS.values()
    }
    runs = sorted(set.intersection(*(set(own) for own in by_kind.values())))
    lines = [
        f"| backbone, {len(runs)} runs | MAdds at 28 | at 96 | top-1 | AP | AP50 | AP75 |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for kind, own in by_kind.items():
        mean = {
            key: fmean(float(own[run][key]) for run in runs)
            for key in ("madds", "detector_madds", "test_accuracy", *MEASURES)
        }
        cells = [f"{mean['madds']:,.0f}", f"{mean['detector_madds']:,.0f}"]
        cells += [f"{100 * mean[key]:.1f}" for key in ("test_accuracy", "ap", "ap50", "ap75")]
        lines.append(f"| {' | '.join([kind, *cells])} |")
    lines += ["", "| lead of the found one, points | AP (95 %) | AP50 | AP75 |", "| --- " * 4 + "|"]
    for kind in list(by_kind)[1:]:
        pairs = [(by_kind["found"][run], by_kind[kind][run]) for run in runs]
        cells = [lead([100 * (float(a[m]) - float(b[m])) for a, b in pairs]) for m in MEASURES[:3]]
        lines.append(f"| {' | '.join([f'over {kind}', *cells])} |")
    return "\n".join(lines)


def lead(gaps: list[float]) -> str:
    """Write a mean with its interval."""
    if len(gaps) < 2:
        return f"{fmean(gaps):+.1f}"
    half = t_975(len(gaps) - 1) * stdev(gaps) / sqrt(len(gaps))
    return f"{fmean(gaps):+.1f} ({fmean(gaps) - half:+.1f} to {fmean(gaps) + half:+.1f})"


def main() -> None:
    """Train what is missing, write it down, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("boxes", type=Path, nargs="?")
    parser.add_argument("runs", type=Path, nargs="*")
    parser.add_argument("--work", type=Path, default=Path("detectors"))
    parser.add_argument("--tables", action="store_true")
    words = parser.parse_args()
    if words.tables:
        print(tables(known(NAME)))
        return
    torch.set_num_threads(1)
    rows = []
    for run in words.runs:
        seed = read_json(run / "retrain" / "config.json")["seed"]
        rows += [train(words.boxes, run, name, seed, words.work) for name in KINDS]
        save(NAME, rows, machine("torchvision", "pycocotools"))
    print(tables(rows))


if __name__ == "__main__":
    main()
