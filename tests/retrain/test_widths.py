"""Networks of other widths: trained beside a choice, found again by their factor."""

import json
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

import pytest
import torch

import stnas
from stnas import report, retrain, search, sgld, train
from stnas.cli import main
from stnas.config import RetrainConfig
from stnas.report.architectures import architectures
from stnas.report.load import load_record
from stnas.store.files import read_json


@pytest.fixture(scope="module")
def widened_run(tiny_settings, tmp_path_factory):
    """Make a run, and then train its choices at other widths, too."""
    config = replace(tiny_settings, run=str(tmp_path_factory.mktemp("wide") / "run"))
    config = replace(config, retrain=replace(config.retrain, random_twins=1, epochs=1))
    for stage in (train, sgld, search, retrain):
        stage.run(config)
    before = (config.folder / "retrain/A/network.safetensors").read_bytes()
    wider = replace(config, retrain=replace(config.retrain, widths=(1.5, 0.5)))
    retrain.run(wider)
    assert (config.folder / "retrain/A/network.safetensors").read_bytes() == before
    return wider


def test_a_choice_is_trained_at_other_widths_and_what_is_trained_stays(widened_run):
    names = {p.parent.name for p in (widened_run.folder / "retrain").glob("*/network.json")}
    assert {"A", "A-random-1", "A-width-1.5", "A-width-0.5"} <= names
    assert all(name.count("-") <= 2 for name in names)
    plain, wide = (stnas.load(widened_run.folder / "retrain/A", width=w) for w in (1, 1.5))
    assert [node.width for node in plain.network.space.nodes[::3]] == [8, 12]
    assert [node.width for node in wide.network.space.nodes[::3]] == [12, 20]
    assert wide.network.genotype.tolist() == plain.network.genotype.tolist()
    assert wide.description["role"] == "scaled"
    assert wide.description["params"] > plain.description["params"]
    assert len(wide.predict(torch.zeros(1, 12, 12, dtype=torch.uint8))) == 1
    maps = stnas.backbone(widened_run.folder / "retrain/A", width=1.5, features_only=True)
    assert maps.feature_info.channels() == [12, 20]


def test_the_page_and_the_export_know_them(widened_run, tmp_path):
    report.run(widened_run)
    assert "A-width-1.5" in (widened_run.folder / "report/report.html").read_text()
    words = ["--to", "safetensors", "--width", "1.5", "--output", str(tmp_path), "--threads", "1"]
    main(["export", str(widened_run.folder / "retrain/A"), *words])
    assert json.loads((tmp_path / "card.json").read_text())["name"].endswith("-A-width-1.5")
    assert stnas.load(tmp_path / "A-width-1.5.safetensors").description["role"] == "scaled"


def test_a_width_that_is_not_trained_names_the_command_that_trains_it(trained_run, capsys):
    with pytest.raises(FileNotFoundError, match=r"--retrain.widths \[2\]`, which keeps"):
        stnas.backbone(trained_run, width=2)
    with pytest.raises(SystemExit):
        main(["export", str(trained_run / "retrain/A"), "--width", "2"])
    assert "stnas retrain --run" in " ".join(capsys.readouterr().err.split())
    fresh = stnas.backbone(trained_run, width=2, pretrained=False, num_classes=3)
    assert fresh(torch.zeros(2, 1, 12, 12)).shape == (2, 3)
    with pytest.raises(ValueError, match="width must be 1 for a file"):
        stnas.load(Path(__file__), width=2)


def test_count_scales_a_genotype_and_no_published_network(trained_run, capsys):
    genotype = stnas.load(trained_run / "retrain/A").description["genotype"]
    words = ["count", genotype, "--run", str(trained_run)]
    main(words)
    main([*words, "--width", "2"])
    plain, wide = (
        int(line.split()[1].replace(",", ""))
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("parameters")
    )
    assert 2 * plain < wide < 4 * plain
    for wrong, message in ((["resnet18"], "for a published network"), ([genotype], "0.1, 10")):
        with pytest.raises(SystemExit):
            main(["count", *wrong, "--run", str(trained_run), "--width", "20"])
        assert message in " ".join(capsys.readouterr().err.split())


def test_a_page_of_networks_that_were_trained_again_is_written(widened_run):
    again = replace(widened_run.retrain, seeds=2, baselines=("separable",))
    config = replace(widened_run, retrain=again)
    retrain.run(config)
    report.run(config)
    page = (config.folder / "report/report.html").read_text()
    assert "A-separable-seed-2" in page
    result = read_json(config.folder / "retrain/result.json")
    reached = {row["name"]: row["test_accuracy"] for row in result["networks"]}
    own = [reached["A"], reached["A-seed-2"]]
    told = f"{100 * fmean(own):.2f} % (s.d. {100 * stdev(own):.2f})"
    assert f"<td>{told}</td>" in page
    assert "the means of 2 trainings of each found and each hand-made network" in page
    drawn = architectures(load_record(config.folder))[0]
    assert (drawn["name"], drawn["test_accuracy"]) == ("A", pytest.approx(fmean(own)))


def test_the_time_of_a_stage_is_that_of_all_its_networks(widened_run):
    """Also where the last command has trained few or none of them."""
    (widened_run.folder / "retrain/result.json").unlink()
    retrain.run(widened_run)
    result = read_json(widened_run.folder / "retrain/result.json")
    assert result["seconds"] >= sum(row["seconds"] for row in result["networks"]) > 0


@pytest.mark.parametrize("widths", [(1.0,), (2.0, 2.0), (0.0,), (float("inf"),)])
def test_wrong_widths_are_refused_by_name(widths):
    with pytest.raises(ValueError, match=r"retrain\.widths must be"):
        RetrainConfig(widths=widths)
