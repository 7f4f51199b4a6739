"""Networks and the hyper-network of NAS-Bench-201's cells, one path at a time."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from stnas import report, retrain, search, sgld, train
from stnas.config import SpaceConfig
from stnas.ops.flops import count_madds
from stnas.space import SearchSpace
from stnas.store.files import read_json, read_rows
from stnas.supernet import Network, SuperNet, Trie

SPACE = SearchSpace.profile(
    "micro", family="nb201", channels=4, image_size=9, in_channels=1, num_classes=4
)
GENES = ["303101", "333132", "423144", "111111", "000000", "014320"]


@pytest.mark.parametrize("genes", GENES)
def test_a_network_costs_what_its_description_says(genes):
    row = SPACE.parse_digits(genes)
    network = Network.build(SPACE, row)
    assert count_madds(network, (1, 9, 9)) == SPACE.madds(row[None])[0]
    assert sum(p.numel() for p in network.parameters()) == SPACE.params(row[None])[0]


def test_a_network_is_the_formula_of_its_cells():
    row = SPACE.parse_digits("304142")
    network = Network.build(SPACE, row, kernels="reference").double().eval()
    x = torch.randn(2, 1, 9, 9, dtype=torch.float64)
    edges, pool = network.edges, torch.nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    value = network.stem.norm(network.stem.convolution(x))
    for first in (1, 5, 9):
        if first > 1:
            value = edges[f"v{first - 1}_v{first}"](value)
        second = edges[f"v{first}_v{first + 1}"](value)
        last = edges[f"v{first + 2}_v{first + 3}"](pool(second))
        value = value + pool(second) + last
    wanted = network.tail.classifier(network.tail.features.norm(value).relu().mean((2, 3)))
    torch.testing.assert_close(network(x), wanted)


@pytest.mark.parametrize("kernels", ["fused", "reference"])
def test_paths_computed_together_are_those_computed_alone(kernels, calibrated):
    torch.manual_seed(0)
    supernet = SuperNet(SPACE, kernels=kernels)
    rows = np.stack([SPACE.parse_digits(genes) for genes in GENES])
    batches = [torch.randn(6, 1, 9, 9) for _ in range(2)]
    trie = Trie(supernet, rows)
    for number, batch in enumerate(batches, start=1):
        trie.observe_(batch, momentum=1 / number)
    found = dict(trie.logits(batches[0]))
    for row, leaf in zip(rows, trie.leaves, strict=True):
        alone = calibrated(supernet, row, batches).eval()
        with torch.inference_mode():
            torch.testing.assert_close(found[leaf], alone(batches[0]), rtol=1e-4, atol=1e-5)


def test_the_whole_pipeline_by_single_paths(tiny_config):
    config = replace(tiny_config, space=SpaceConfig(family="nb201", channels=4))
    for stage in (train, sgld, search, retrain, report):
        stage.run(config)
    rows = read_rows(config.folder / "search" / "archive.jsonl", origin=None)
    space = SearchSpace.from_json(read_json(config.folder / "train" / "result.json")["space"])
    assert len(rows) == 12
    cells = np.stack([space.parse(row["genotype"]) for row in rows])
    assert space.is_useful(cells).all()
    assert len(set(space.canonical(cells))) == 12
    result = read_json(config.folder / "retrain" / "result.json")
    assert all(network["test_accuracy"] > 0.2 for network in result["networks"])
