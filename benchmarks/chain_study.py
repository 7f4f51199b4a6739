"""Train hyper-networks of NAS-Bench-Macro in many ways: which way ranks its networks best.

    nice python benchmarks/chain_study.py --data CIFAR-10 [--seeds 1] [--ways NAME...]

One cause at a time, at half the width unless the way says otherwise, scored by loss and accuracy
on 2,000 held-out images for the 200 networks of ``table_ranking.py``, whose published accuracies it
has committed. A training that ends adds a row to ``results/chain_scores.csv``, and the same command
goes on; ``sharing_tables.py`` makes the table of docs/search-value.md. Seeds begin at 100: those
below are left for the runs that are reported.
"""

import argparse
import time
from dataclasses import replace
from typing import Literal

import numpy as np
from record import known, load, machine, save
from sharing_study import RECIPE, Sharing, scores, shared_weights

from stnas.config.data import DataConfig
from stnas.data import load as load_images
from stnas.space import SearchSpace

SCORES = "chain_scores"
BASE = Sharing(epochs=30, batch=64, learning_rate=0.2, p_drop=0.6, recalibration=500)
"""That of ``table_ranking.py macro``. Every block has three candidates, drawn alike."""
HALF, WHOLE = "nas_bench_macro_half", "nas_bench_macro"
WAYS: dict[str, tuple[Literal["nas_bench_macro_half", "nas_bench_macro"], Sharing]] = {
    "as above": (HALF, BASE),
    "sandwich, 10 epochs": (HALF, replace(BASE, sandwich=True, epochs=10)),
    "sandwich and distillation, 10 epochs": (
        HALF,
        replace(BASE, sandwich=True, distill=True, epochs=10),
    ),
    "sandwich, 10 epochs, probe of 3,000 images": (
        HALF,
        replace(BASE, sandwich=True, epochs=10, probe=3000),
    ),
    "fair": (HALF, replace(BASE, sampling="fair")),
    "momentum 0.9, rate 0.05": (HALF, replace(BASE, momentum=0.9, learning_rate=0.05)),
    "3 paths, fair, 10 epochs": (HALF, replace(BASE, sampling="fair", paths=3, epochs=10)),
    "affine": (HALF, replace(BASE, affine=True)),
    "rate 0.5": (HALF, replace(BASE, learning_rate=0.5)),
    "120 epochs": (HALF, replace(BASE, epochs=120)),
    "whole width": (WHOLE, BASE),
}
CROP = replace(RECIPE, padding=4)


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="CIFAR-10")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first", type=int, default=100)
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=list(WAYS), metavar="NAME")
    own = parser.parse_args()
    config = DataConfig(path=own.data, train_limit=20000, validation=0.1, split_seed=0)
    data = load_images(config, seed=0)
    texts = [row["genotype"] for row in load("table_truth") if row["set"] == "macro"]
    for seed in range(own.first, own.first + own.seeds):
        for name in own.ways:
            if (name, seed) in {(row["way"], int(row["seed"])) for row in known(SCORES)}:
                continue
            profile, way = WAYS[name]
            space = SearchSpace.profile(profile, image_size=32, in_channels=3, num_classes=10)
            begin = time.process_time()
            supernet = shared_weights(data, space, way, seed, CROP)
            seconds = time.process_time() - begin
            about = {"way": name, "seed": seed, "seconds": f"{seconds:.0f}"}
            genotypes = np.stack([space.parse_digits(text.split("-")[2]) for text in texts])
            row = {**about, **scores(data, supernet, genotypes, way)}
            save(SCORES, [*known(SCORES), row], machine())
            print(name, seed, about["seconds"], flush=True)


if __name__ == "__main__":
    main()
