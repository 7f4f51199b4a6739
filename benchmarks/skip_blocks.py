"""Chain networks against the same with four random skip blocks, at equal multiply-adds.

    nice python benchmarks/skip_blocks.py --path FOLDER --runs FOLDER

The paper's table 1 in this space: each chain has random kernels and the largest expansion on every
stem edge. A network with skip blocks has four random branch edges with random bottlenecks besides,
and smaller expansions on the stem edges, so that the multiply-adds agree within 1 %. All are
trained from scratch with two seeds by the recipe ``ranking``, on the images in FOLDER
(``--path``), by ``stnas rank``; writes ``results/skip_blocks.csv``.
"""

import argparse
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from record import machine, save

from stnas.space import SearchSpace
from stnas.space.topology import edges_of, spec_of
from stnas.store.files import read_json

CHAINS, VARIANTS, SKIPS = 3, 3, 4
CLOSE = 0.01


def chain(space: SearchSpace, rng: np.random.Generator) -> NDArray[np.int8]:
    """Draw a chain: random kernels, the largest expansion, no branch edge."""
    kernels, expands = len(spec_of(space).kernels), len(spec_of(space).expands)
    genes = np.zeros(space.num_genes, np.int8)
    for edge in edges_of(space):
        if edge.kind == "stem":
            genes[edge.index] = rng.integers(kernels) * expands + expands - 1
    return genes


def with_skips(
    space: SearchSpace, genes: NDArray[np.int8], rng: np.random.Generator
) -> NDArray[np.int8]:
    """Add random skip blocks to a chain, and narrow its stem blocks until the costs agree."""
    expands, target = len(spec_of(space).expands), int(space.madds(genes[None])[0])
    stems = [edge.index for edge in edges_of(space) if edge.kind == "stem"]
    branches = [edge for edge in edges_of(space) if edge.kind == "branch"]
    choices = np.array(list(itertools.product(range(expands), repeat=len(stems))))
    while True:
        rows = np.repeat(genes[None], len(choices), axis=0)
        rows[:, stems] += (choices - (expands - 1)).astype(np.int8)
        for place in rng.choice(len(branches), SKIPS, replace=False):
            edge = branches[place]
            blocks = [i for i, choice in enumerate(edge.choices) if choice.kind == "bottleneck"]
            rows[:, edge.index] = rng.choice(blocks)
        near = np.flatnonzero(np.abs(space.madds(rows) / target - 1) < CLOSE)
        if len(near):
            return rows[rng.choice(near)]


def run(words: list[str]) -> None:
    """Run a command of stnas."""
    subprocess.run([sys.executable, "-m", "stnas", *words], check=True)


def main() -> None:
    """Write the list, train all, and save the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--path", required=True, help="the images")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    options = parser.parse_args()
    folder = options.runs / "skip-blocks"
    place = ["--run", str(folder)]
    short = ["--train.epochs", "1", "--data.path", options.path]
    run(["train", "--config", "ranking", *place, *short])
    space = SearchSpace.from_json(read_json(folder / "train/result.json")["space"])
    rng = np.random.Generator(np.random.Philox(0))
    names: dict[str, str] = {}
    for number in range(CHAINS):
        own = chain(space, rng)
        names[space.format(own)] = f"chain {number}"
        for variant in range(VARIANTS):
            skipped = with_skips(space, own, rng)
            names[space.format(skipped)] = f"chain {number} with skip blocks, {variant}"
    listed = folder / "genotypes.txt"
    listed.write_text("\n".join(names) + "\n")
    few = ["--rank.ways", "[single]", "--rank.repeated", str(len(names))]
    run(["rank", *place, "--rank.genotypes", str(listed), *few])
    rows = [
        {
            "network": names[row["genotype"]],
            "madds": row["madds"],
            "params": row["params"],
            **{f"accuracy_{seed}": f"{v:.4f}" for seed, v in enumerate(row["truth"])},
            "genotype": row["genotype"],
        }
        for row in read_json(folder / "rank/result.json")["architectures"]
    ]
    rows.sort(key=lambda row: str(row["network"]))
    save("skip_blocks", rows, machine())


if __name__ == "__main__":
    main()
