"""The examples are run whole, from the command line, as a user would."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import stnas
from stnas.store.files import read_json, read_rows

ROOT = Path(__file__).parents[1]
TINY = """
--threads 1 --data.path embedded --data.train_limit 120 --data.test_limit 30 --data.crop_padding 1
--train.epochs 1 --train.batch_size 16 --sgld.samples 2 --search.population 4 --search.generations 2
--search.recalibration_images 32 --search.recalibration_batch 16 --retrain.epochs 1
--retrain.batch_size 16 --retrain.warmup_epochs 0 --retrain.random_twins 1
--rank.architectures 4 --rank.repeated 0 --rank.truth_epochs 1 --rank.resamples 100
--rank.ways [single,none] --rank.shared_statistics_steps 2
"""
FACTORIES = ["own_operation:ghosts", "own_space:chain"]


def stnas_command(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the command line in the repository, where ``examples`` lies."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    command = [sys.executable, "-P", "-m", "stnas", *words]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 or not check, done.stdout + done.stderr
    return done


@pytest.mark.parametrize("factory", FACTORIES)
def test_a_space_of_ones_own_goes_through_all_stages(factory, tmp_path, monkeypatch):
    run = str(tmp_path / "run")
    options = ["--run", run, "--space.factory", f"examples.{factory}", *TINY.split()]
    stnas_command("run", *options)
    stnas_command("rank", "--run", run)
    page = (tmp_path / "run/report/report.html").read_text()
    assert 'class="architecture"' in page
    monkeypatch.chdir(ROOT)
    path = list(sys.path)
    network = stnas.load_network(f"{run}/retrain/A")
    assert sys.path == path
    description = read_json(tmp_path / "run/retrain/A/network.json")
    assert description["space"]["factory"] == f"examples.{factory}"
    head = network.space.head
    assert (
        stnas.count_madds(network, (head.in_channels, *[head.image_size] * 2))
        == (description["madds"])
    )
    with torch.no_grad():
        images = torch.randn(2, head.in_channels, head.image_size, head.image_size)
        assert network(images).shape == (2, head.num_classes)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("examples.own_space", "space.factory must read module:function"),
        ("examples.nowhere:chain", "space.factory must name a module, got 'examples.nowhere'"),
        ("examples.own_space:rope", "space.factory must name a function of examples.own_space"),
        ("examples.own_space:Conv", "space.factory must need no arguments but image_size"),
        ("torch:add", "space.factory must name a function written in Python"),
        ("torch:__version__", "space.factory must name a function of torch"),
        ("os:abort", "space.factory must name a module that is not Python's own, got 'os'"),
        ("pdb:set_trace", "space.factory must name a module that is not Python's own, got 'pdb'"),
    ],
)
def test_a_wrong_factory_is_refused_by_name(factory, message, tmp_path):
    options = ["--run", str(tmp_path / "run"), "--space.factory", factory, *TINY.split()]
    done = stnas_command("train", *options, check=False)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_cost_of_ones_own_is_searched_limited_and_bounded(tmp_path):
    run = tmp_path / "run"
    own = ["--space.factory", "examples.own_cost:chain", "--search.cost", "traffic"]
    limits = ["--search.limits", "[60, 80]", "--search.bounds", "[params<=9000, traffic>=30]"]
    done = stnas_command(
        *["run", "--run", str(run), *own, *limits, *TINY.split(), "--verdict.candidates", "0"]
    )
    assert "to 80 kB" in done.stdout
    rows = read_rows(run / "search/archive.jsonl", origin=None)
    assert all(row["traffic"] >= 30 and row["params"] <= 9000 for row in rows)
    result = read_json(run / "search/result.json")
    for choice in result["choices"]:
        assert choice["traffic"] <= choice["limit"]
        under = [row["loss"] for row in rows if row["traffic"] <= choice["limit"]]
        assert choice["loss"] == min(under)
    front = read_json(run / "search/front.json")["front"]
    assert [row["traffic"] for row in front] == sorted(row["traffic"] for row in front)
    for row in read_json(run / "retrain/result.json")["networks"]:
        assert row["traffic"] >= 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--search.cost", "latency"], "search.cost must name a cost of the space, one of madds"),
        (["--search.bounds", "[heat<=3]"], "search.bounds must name a cost of the space"),
        (["--search.bounds", "[traffic<3]"], "search.bounds must read NAME<=NUMBER"),
        (["--search.bounds", "[traffic<=few]"], "search.bounds must read NAME<=NUMBER"),
        (["--search.bounds", "[traffic<=1e-9]"], "none of the random ones lies in traffic"),
    ],
)
def test_an_unknown_cost_or_bound_is_refused(options, message, tmp_path):
    run = ["--run", str(tmp_path / "run"), "--space.factory", "examples.own_cost:chain"]
    done = stnas_command("run", *run, *options, *TINY.split(), check=False)
    assert done.returncode != 0
    assert message in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stderr
