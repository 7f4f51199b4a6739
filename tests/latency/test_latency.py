"""Latency as a cost: the table, its fit, how far it is trusted, and a search by it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

import stnas
from stnas.cli import main
from stnas.latency.command import networks
from stnas.latency.fit import features, fit, trust
from stnas.latency.timing import least_times
from stnas.learn.task import prepare
from stnas.space import SearchSpace
from stnas.space.latency import LatencyTable, measured_as
from stnas.store.files import read_json, read_rows

SPACE = SearchSpace.profile("nano")


def made_up_parts():
    names = sorted({measured_as(arc) for arc in SPACE.arcs if arc.part is not None})
    return dict(zip(names, np.random.default_rng(0).uniform(1e3, 9e4, len(names)), strict=True))


def table(**changes):
    fields = {"fixed": 5e3, "scale": 0.5, "each": 300.0, "identity": 70.0, **changes}
    return LatencyTable(SPACE.fingerprint, made_up_parts(), **fields)


def test_the_cost_is_the_sum_over_the_arcs():
    own, rows = table(), SPACE.sample(50, p_drop=0.5, seed=0)
    cost = own.cost(SPACE)
    assert (cost.name, cost.unit) == ("latency", "ns")
    for row, found in zip(rows, cost(rows), strict=True):
        assert found == 5000 + sum(own.of_arc(arc) for arc in SPACE.arcs_of(row))
    assert cost.least <= cost(rows).min() <= cost(rows).max() <= cost.most
    again = LatencyTable.from_json(json.loads(json.dumps({"table": own.to_json()})))
    assert (again.cost(SPACE)(rows) == cost(rows)).all()


def test_no_arc_costs_less_than_nothing():
    assert table(each=-1e9, identity=-5.0, fixed=-1.0).cost(SPACE).most == -1


def test_a_table_of_another_space_is_refused():
    with pytest.raises(ValueError, match="must be measured in the run's own space"):
        table().cost(SearchSpace.profile("micro"))


def test_a_fit_finds_the_coefficients_of_what_they_made():
    rows, own = SPACE.sample(40, p_drop=0.5, seed=1), table()
    made = features(SPACE, rows, own.parts) @ [own.fixed, own.scale, own.each, own.identity]
    found = fit(SPACE, rows, made, own.parts)
    assert_allclose(
        [found.fixed, found.scale, found.each, found.identity], [5e3, 0.5, 300, 70], rtol=1e-6
    )
    told = trust(found.cost(SPACE)(rows).astype(float), made)
    assert told.median < 1e-3
    assert told.correlation == pytest.approx(1)


def test_parts_that_differ_by_noise_alone_are_told_so():
    space = SearchSpace.profile("resnet14")
    names = sorted({measured_as(arc) for arc in space.arcs})
    parts = dict(zip(names, np.random.default_rng(0).uniform(1e4, 2e4, len(names)), strict=True))
    rows = space.sample(40, p_drop=0.5, seed=1)
    sums = features(space, rows, parts)[:, 1]
    measured = 1e6 - sums
    found = fit(space, rows, measured, parts)
    assert found.scale == 0
    told = trust(found.cost(space)(rows).astype(float), measured)
    assert told.median < 0.05
    assert told.correlation is None
    assert "rank correlation unknown" in str(told)


@pytest.mark.parametrize(
    "profile", ["nano", "micro", "resnet14"], ids=["few networks", "many", "all of one size"]
)
def test_networks_of_all_sizes_are_measured_and_none_twice(profile):
    space = SearchSpace.profile(profile)
    found = networks(space, 40)
    assert len(set(space.canonical(found).tolist())) == len(found) == 40
    sizes = np.log(np.sort(space.madds(found)))
    drawn = np.log(space.madds(space.sample(40, p_drop=0.9, seed=0)))
    assert sizes[0] <= drawn.min()
    assert sizes[0] == sizes[-1] or 10 <= (sizes < (sizes[0] + sizes[-1]) / 2).sum() <= 30
    assert (networks(space, 40) == found).all()


def test_a_call_of_twice_the_work_takes_longer():
    data = np.random.default_rng(0).random(20000)
    short, long = least_times(
        [lambda: np.sort(data), lambda: [np.sort(data) for _ in range(8)]], rounds=5, threads=1
    )
    assert 0 < short < long


@pytest.mark.parametrize("backend", ["kernels", "eager", "onnx", "openvino"])
def test_a_run_is_measured_and_searched_by_latency(backend, trained_run, tmp_path, capsys):
    if backend in ("onnx", "openvino"):
        pytest.importorskip("onnx", reason="pip install 'stnas[export]'")
        name = {"onnx": "onnxruntime"}.get(backend, backend)
        pytest.importorskip(name, reason=f"pip install {name}")
    file = tmp_path / "latency.json"
    words = ["--backend", backend, "--networks", "12", "--rounds", "1", "--output", str(file)]
    main(["latency", str(trained_run), *words, "--threads", "1"])
    found = read_json(file)
    assert (found["threads"], found["batch"], found["backend"]) == (1, 1, backend)
    assert all(row["measured"] > 0 for row in found["networks"])
    said = " ".join(capsys.readouterr().out.split())
    assert f"--search.latency {file} --search.cost latency" in said


def test_a_search_by_latency_takes_it_as_objective_and_bound(tiny_config, tmp_path, capsys):
    run, file = tiny_config.run, tmp_path / "latency.json"
    data = ["--data.path", tiny_config.data.path, "--data.crop_padding", "0"]
    small = ["--space.profile", "nano", "--train.epochs", "1", "--train.batch_size", "16"]
    main(["train", "--run", run, "--threads", "1", *data, *small])
    measured = ["--backend", "kernels", "--networks", "12", "--rounds", "1"]
    main(["latency", run, *measured, "--output", str(file), "--threads", "1"])
    space = SearchSpace.from_json(read_json(tiny_config.folder / "train/result.json")["space"])
    cost = LatencyTable.from_json(read_json(file)).cost(space)
    bound = (cost.least + cost.most) // 2
    words = ["--search.cost", "latency", "--search.bounds", f"[latency<={bound}]"]
    words += ["--search.population", "4", "--search.generations", "2", "--search.score", "single"]
    words += ["--search.recalibration_images", "64", "--threads", "1"]
    main(["search", "--run", run, "--search.latency", str(file), *words])
    rows = read_rows(tiny_config.folder / "search/archive.jsonl", origin=None)
    genotypes = np.stack([space.parse(row["genotype"]) for row in rows])
    assert [row["latency"] for row in rows] == cost(genotypes).tolist()
    assert max(row["latency"] for row in rows) <= bound
    for choice in read_json(tiny_config.folder / "search/result.json")["choices"]:
        assert choice["latency"] <= choice["limit"]
    words = ["--retrain.epochs", "1", "--retrain.warmup_epochs", "0"]
    words += ["--retrain.batch_size", "16"]
    words += ["--retrain.random_twins", "0", "--verdict.candidates", "0"]
    words += ["--retrain.widths", "[2]", "--retrain.baselines", "[separable]"]
    main(["retrain", "--run", run, *words, "--threads", "1"])
    main(["report", "--run", run])
    page = (tiny_config.folder / "report/report.html").read_text()
    assert "Random networks have nearly the same nanoseconds, hand-made ones" in page
    networks = read_json(tiny_config.folder / "retrain/result.json")["networks"]
    assert {network["role"] for network in networks} == {"chosen", "baseline", "scaled"}
    for network in (own for own in networks if own["role"] == "chosen"):
        folder = tiny_config.folder / "retrain" / network["name"]
        known = stnas.load_network(folder).genotype
        assert cost(known[None]).tolist() == [network["latency"]]


def test_what_is_missing_is_named(trained_run, tmp_path, capsys):
    for words, message in (
        (["latency", str(tmp_path)], "must be a run whose hyper-network is trained"),
        (["latency", str(trained_run), "--networks", "3"], "networks must be 12 or more"),
        (
            ["latency", str(trained_run), "--backend", "eager", "--device", "cuda:64"],
            "device cuda:64 cannot be used",
        ),
    ):
        with pytest.raises(SystemExit):
            main(words)
        assert message in " ".join(capsys.readouterr().err.split())


def test_a_search_without_its_file_is_refused(tiny_config):
    wanted = replace(tiny_config, search=replace(tiny_config.search, latency="none.json"))
    with pytest.raises(FileNotFoundError, match=r"search\.latency must be a file that"):
        prepare(wanted)
