"""The command line, as a user types it."""

import errno
import importlib.util
import json
import os
import re
import signal
from pathlib import Path

import pytest
import yaml

from stnas.cli import main
from stnas.pipeline import stages
from stnas.space import SearchSpace

TINY = {
    "seed": 3,
    "space": {"profile": "nano", "stages": [3, 2], "widths": [8, 12], "tail_width": 16},
    "data": {"flip": False, "crop_padding": 0},
    "train": {"epochs": 2, "batch_size": 16, "learning_rate": 1.0},
    "sgld": {"samples": 2},
    "search": {"population": 4, "generations": 2, "recalibration_images": 64},
    "verdict": {"candidates": 2, "epochs": 1},
    "retrain": {"epochs": 1, "batch_size": 16, "warmup_epochs": 0.5, "learning_rate": 0.1},
}


@pytest.fixture
def options(tiny_images, tmp_path):
    """Give the options of a run of seconds, from a YAML file."""
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(TINY))
    run = tmp_path / "run"
    return ["--config", str(file), "--data.path", str(tiny_images), "--run", str(run)]


def refused(words, code, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == code
    streams = capsys.readouterr()
    return re.sub(r"\s+", " ", streams.out + streams.err)


def test_a_whole_run_ends_with_tables_and_a_page(options, tmp_path, capsys):
    main(["run", *options])
    out = capsys.readouterr().out
    run = tmp_path / "run"
    assert "A-random-1" in out
    assert "test, retrained" in out
    assert "report.html" in out
    assert (run / "report/report.html").stat().st_size > 100_000
    front = json.loads((run / "search/front.json").read_text())["front"]
    assert all(row["genotype"][:20] in out for row in front)
    stored = yaml.safe_load((run / "config.yaml").read_text())
    assert stored["train"]["epochs"] == 2
    assert stored["search"]["crossover"] == 0.9
    assert not [file for file in run.rglob("*") if file.suffix in (".pt", ".pth", ".pkl")]


def test_stages_one_by_one_take_the_configuration_from_the_run_folder(options, tmp_path, capsys):
    main(["train", *options])
    run = ["--run", str(tmp_path / "run")]
    for stage in ("sgld", "search", "verdict", "retrain", "report"):
        main([stage, *run])
    assert (tmp_path / "run/report/report.html").exists()
    capsys.readouterr()
    main(["run", *run])
    assert capsys.readouterr().out.count("is complete; delete that folder") == 5


def test_a_ranking_is_a_command_beside_the_pipeline(options, tmp_path, capsys):
    main(["train", *options])
    run = ["--run", str(tmp_path / "run")]
    small = ["--rank.architectures", "4", "--rank.repeated", "0", "--rank.ways", "[single, tail]"]
    main(["rank", *run, *small])
    assert "Agreement with training from scratch" in capsys.readouterr().out
    assert (tmp_path / "run/rank/result.json").exists()
    main(["rank", *run])
    assert "is complete; delete that folder" in capsys.readouterr().out
    text = refused(["rank", *run, "--rank.ways", "[swa]"], 1, capsys)
    assert "rank.ways must be words of single, tail" in text


def test_a_later_stage_can_be_configured_later(options, tmp_path):
    main(["train", *options])
    main(["sgld", "--run", str(tmp_path / "run"), "--sgld.mode", "none"])
    stored = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    assert stored["sgld"]["mode"] == "none"


def test_a_stage_out_of_order_names_the_command_to_run(options, capsys):
    text = refused(["search", *options], 1, capsys)
    assert "run `stnas train --run" in text


def test_another_configuration_is_refused(options, tmp_path, capsys):
    main(["train", *options])
    run = ["--run", str(tmp_path / "run")]
    text = refused(["sgld", *run, "--train.epochs", "5"], 1, capsys)
    assert "train.epochs: 2, now 5" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--train.epoch", "5"], "train.epoch"),
        (["--train.epochs", "many"], "train.epochs"),
        (["--sgld.mode", "hot"], "sgld.mode"),
        (["--nonsense", "1"], "nonsense"),
    ],
)
def test_unknown_keys_and_wrong_kinds_are_refused(options, words, message, capsys, tmp_path):
    assert message in refused(["train", *options, *words], 2, capsys)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--train.epochs", "0"], "train.epochs must be 1 or more, got 0"),
        (["--train.p_drop", "1.5"], "train.p_drop must be in [0, 1], got 1.5"),
        (["--train.final_learning_rate", "3"], "at most train.learning_rate = 1.0"),
        (["--train.madds", "1e6", "--train.sampling", "bins"], "with train.sampling p_drop"),
        (["--sgld.samples", "0"], "sgld.samples must be 1 or more"),
        (["--sgld.temperature", "-1"], "sgld.temperature must be a finite number of 0 or more"),
        (["--search.madds_min", "9", "--search.madds_max", "8"], "search.madds_min must be at"),
        (["--search.limits", "[]"], "search.limits must be one limit or more"),
        (["--search.limits", "[5, 5]"], "search.limits must be without repetition"),
        (["--retrain.warmup_epochs", "1"], "in [0, retrain.epochs = 1)"),
        (["--train.momentum", "1"], "train.momentum must lie in [0, 1)"),
        (["--retrain.momentum", "1"], "retrain.momentum must be in [0, 1)"),
        (["--data.path", "/no/such/place"], "/no/such/place"),
        (["--threads", "0"], "threads must be 1 or more"),
        (["--seed", "-1"], "seed must be in [0, 2^63)"),
    ],
)
def test_values_out_of_range_are_refused_before_any_work(options, words, message, capsys, tmp_path):
    assert message in refused(["train", *options, *words], 1, capsys)
    assert not (tmp_path / "run/train/weights.safetensors").exists()


def test_a_stage_that_was_refused_leaves_no_configuration_behind(options, tmp_path, capsys):
    refused(["train", *options, "--data.path", "/no/such/place"], 1, capsys)
    assert not (tmp_path / "run/config.yaml").exists()


def test_under_torchrun_a_batch_has_one_part_a_process(options, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "8")
    with pytest.raises(SystemExit):
        main(["train", *options, "--print_config"])
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["train"]["micro_batches"] == printed["retrain"]["micro_batches"] == 8
    text = refused(["train", *options, "--retrain.micro_batches", "16"], 1, capsys)
    assert "retrain.micro_batches must be a divisor of the batch_size = 16 that leaves 2" in text


def test_an_unknown_key_of_a_file_is_named(options, tmp_path, capsys):
    (tmp_path / "bad.yaml").write_text("train:\n  epocs: 3\n")
    text = refused(["train", *options, "--config", str(tmp_path / "bad.yaml")], 2, capsys)
    assert "epocs" in text


def test_the_configuration_is_printed_with_every_key(options, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", *options, "--print_config"])
    assert stop.value.code == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["train"]["epochs"] == 2
    assert printed["retrain"]["momentum"] == 0.9
    assert printed["space"]["stages"] == [3, 2]


def test_count_explains_a_genotype_layer_by_layer(capsys):
    space = SearchSpace.profile("micro", image_size=28, in_channels=1)
    genotype = space.sample(1, p_drop=0.6, seed=0)[0]
    words = [space.format(genotype), "--image_size", "28", "--in_channels", "1", "--explain"]
    main(["count", *words])
    out = capsys.readouterr().out
    layers = [int(n.replace(",", "")) for n in re.findall(r"│ ([\d,]+) +│ [\d.]+ % +│", out)]
    total = int(space.madds(genotype[None])[0])
    assert sum(layers) == total
    assert f"MAdds: {total:,}" in out
    assert f"parameters: {int(space.params(genotype[None])[0]):,}" in out


def test_count_takes_the_space_from_a_run(options, tmp_path, capsys):
    main(["run", *options])
    choice = json.loads((tmp_path / "run/search/result.json").read_text())["choices"][0]
    capsys.readouterr()
    main(["count", choice["genotype"], "--run", str(tmp_path / "run")])
    assert f"MAdds: {choice['madds']:,}" in capsys.readouterr().out
    assert "must belong to this space" in refused(["count", choice["genotype"]], 1, capsys)


def test_count_reads_the_tuple_of_a_published_network(capsys):
    words = ["--family", "spos", "--profile", "imagenet"]
    main(["count", "(2,1,0,1,2,0,2,0,2,0,2,3,0,0,0,0,3,2,3,3)", *words])
    assert capsys.readouterr().out.split() == ["MAdds:", "322,918,720", "parameters:", "3,558,464"]
    assert "must have 20 numbers" in refused(["count", "(2,1)", *words], 1, capsys)


PAIRS = [("sep_conv_3x3", i) for i in (0, 1)] * 4


def test_count_reads_a_published_cell(capsys):
    cell = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
    main(["count", cell])
    assert capsys.readouterr().out.split() == ["MAdds:", "78,561,920", "parameters:", "559,386"]
    main(["count", f"Genotype({', '.join(f'{kind}={PAIRS}' for kind in ('normal', 'reduce'))})"])
    assert "MAdds: " in capsys.readouterr().out
    main(["count", cell, "--explain"])
    assert "+ a(conv1+conv3) bn((b(conv1) conv + b(conv3) conv3)(relu(x)))" in (
        capsys.readouterr().out
    )
    wrong = cell.replace("none~1", "max_pool~1")
    assert "among none, skip_connect" in refused(["count", wrong], 1, capsys)


def test_count_of_an_unknown_name_says_what_was_tried(capsys):
    text = refused(["count", "no_such_net"], 1, capsys)
    assert "'no_such_net'" in text
    assert "torchvision" in text
    assert "timm" in text


def test_doctor_tells_versions_kernels_threads_and_repairs(capsys):
    main(["doctor"])
    out = capsys.readouterr().out
    for part in ("stnas", "torch", "compiled core", "compiled operators", "threads", "device"):
        assert part in out
    for part in ("onnx", "onnxruntime", "openvino", "timm", "torchvision", "dali"):
        line = next(
            row for row in out.splitlines() if row.startswith("│") and part in row.split()[1]
        )
        assert "not installed" not in line or "pip install" in line


def test_doctor_names_the_index_of_a_torchvision_that_fits_to_torch(monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "torchvision" else find(name)
    )
    main(["doctor"])
    out = "".join(re.sub(r"[│\s]", "", row) for row in capsys.readouterr().out.splitlines())
    assert "--index-urlhttps://download.pytorch.org/whl/cpu" in out


@pytest.fixture
def interruptible():
    """Let SIGINT interrupt, which a shell's background process ignores."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_with_its_code_and_the_command_that_goes_on(
    options, monkeypatch, capsys, number
):
    def interrupted(config):
        os.kill(os.getpid(), number)
        raise AssertionError("the signal came late")

    monkeypatch.setitem(stages.STAGES, "train", interrupted)
    text = refused(["train", *options], 128 + number, capsys)
    assert f"stopped by {number.name}" in text
    assert f"the same command goes on from there: stnas train --config {options[1]}" in text


def test_a_damaged_configuration_is_refused_and_an_edited_one_is_not(options, tmp_path, capsys):
    main(["train", *options])
    file = tmp_path / "run/config.yaml"
    head, text = file.read_text().split("\n", 1)
    file.write_text(f"{head}\n{text.replace('samples: 2', 'samples: 6')}")
    refusal = refused(["sgld", "--run", str(tmp_path / "run")], 1, capsys)
    assert "config.yaml is not as it was written" in refusal
    file.write_text(text.replace("samples: 2", "samples: 3"))
    main(["sgld", "--run", str(tmp_path / "run")])
    assert (tmp_path / "run/sgld/sample-002.safetensors").exists()


def test_a_full_disk_has_a_repair_wherever_it_is_met(options, monkeypatch, capsys):
    def full(config):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setitem(stages.STAGES, "train", full)
    assert "No space left on device: free some space and run the" in refused(
        ["train", *options], 1, capsys
    )


def test_quickstart_has_its_own_recipe(capsys):
    with pytest.raises(SystemExit):
        main(["quickstart", "--print_config"])
    recipe = yaml.safe_load(capsys.readouterr().out)
    assert recipe["data"]["path"] == "embedded"
    assert recipe["run"] == "runs/quickstart"
    assert Path(recipe["run"]).parts[0] == "runs"


def printed(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*words, "--print_config"])
    assert stop.value.code == 0
    return yaml.safe_load(capsys.readouterr().out)


def test_the_imagenet_recipe_is_the_paper_s(capsys):
    recipe = printed(["train", "--config", "imagenet"], capsys)
    assert recipe["space"]["profile"] == "imagenet"
    assert (recipe["data"]["backend"], recipe["data"]["image_size"]) == ("auto", 224)
    train = recipe["train"]
    assert (train["epochs"], train["batch_size"], train["learning_rate"]) == (600, 512, 0.1)
    assert (train["final_learning_rate"], train["weight_decay"]) == (2.5e-4, 1e-4)
    sgld = recipe["sgld"]
    assert (sgld["samples"], sgld["learning_rate"], sgld["mode"]) == (20, 2.5e-4, "posterior")
    search = recipe["search"]
    assert search["population"] * search["generations"] == 990
    assert (search["recalibration_images"], search["limits"]) == (20_000, [326e6, 503e6])
    retrain = recipe["retrain"]
    assert (retrain["epochs"], retrain["batch_size"], retrain["learning_rate"]) == (300, 2048, 0.8)
    assert (retrain["momentum"], retrain["weight_decay"]) == (0.9, 1e-4)
    held = sum(round(recipe["data"]["validation"] * n) for n in [1300] * 895 + [1120] * 105)
    assert abs(held - 50_000) < 500


def test_the_rehearsal_changes_budgets_alone(capsys):
    whole = printed(["run", "--config", "imagenet"], capsys)
    words = ["run", "--config", "imagenet", "--config", "rehearsal", "--train.epochs", "2"]
    short = printed(words, capsys)
    assert (short["space"], short["data"]) == (whole["space"], whole["data"])
    assert (short["train"]["epochs"], short["retrain"]["epochs"]) == (2, 1)
    assert (short["train"]["learning_rate"], short["sgld"]["samples"]) == (0.1, 2)


def test_an_unknown_recipe_is_a_missing_file(capsys):
    assert "imagenot" in refused(["run", "--config", "imagenot"], 2, capsys)
